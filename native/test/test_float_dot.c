/* test_float_dot.c: float activations times int8 weights, in the one fixed order of summing. */
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 150 };

static void test_case(uint32_t k) {
  const dp_kernels *kernels = dp_active_kernels();
  const dp_type x_type = one_in(2) ? DP_F32 : DP_BF16, y_type = one_in(2) ? DP_F32 : DP_BF16;
  const size_t x_size = x_type == DP_BF16 ? 2 : 4, y_size = y_type == DP_BF16 ? 2 : 4;
  const uint32_t count = random_between(1, DP_NR);
  block floats = make_input(k * sizeof(float), 4), row = make_input(k * x_size, x_size);
  block x = make_output(dp_quads(k) * DP_KR * sizeof(float), 0);
  block w = make_input((size_t)DP_NR * k, 1), tiles = make_input(dp_block_bytes(k), 64);
  block acc = make_output(DP_NR * sizeof(float), 0);
  block y = make_output(count * y_size, random_offset(y_size)), expected = make_input(count * y_size, y_size);
  float w_scale[DP_NR], bias[DP_NR];
  int32_t col_sum[DP_NR];
  random_floats(floats.at, k);
  if (one_in(8)) spoil(floats.at, k);
  for (size_t i = 0; i < k; i++) oracle_store(row.at, x_type, i, ((float *)floats.at)[i]);
  random_bytes(w.at, w.bytes);
  random_floats(w_scale, DP_NR);
  random_floats(bias, DP_NR);
  oracle_pack(w.at, DP_NR, k, tiles.at, col_sum);
  const float *with = one_in(2) ? bias : NULL;

  kernels->load_row_float(row.at, x_type, k, x.at);
  memset(acc.at, 0, acc.bytes);
  kernels->dot_float_64c4(x.at, tiles.at, dp_quads(k), acc.at);
  (y_type == DP_BF16 ? kernels->float_epilogue_bf16 : kernels->float_epilogue_f32)(acc.at, count, w_scale, with, y.at);

  for (uint32_t n = 0; n < count; n++) {
    const float dot = oracle_float_dot(row.at, x_type, (int8_t *)w.at + (size_t)n * k, k);
    check(same_float(((float *)acc.at)[n], dot), "dot_float K %u, channel %u: %a, not %a", k, n,
          (double)((float *)acc.at)[n], (double)dot);
    oracle_store(expected.at, y_type, n, oracle_dequantize_float(dot, w_scale[n], with == NULL ? NULL : with + n));
    check(same_element(y.at, expected.at, y_type, n), "epilogue type %d, K %u, channel %u differs", y_type, k, n);
  }
  check(edges_hold(&x) && edges_hold(&acc) && edges_hold(&y), "dot_float K %u wrote past its end", k);
  free_block(&floats), free_block(&row), free_block(&x), free_block(&w), free_block(&tiles);
  free_block(&acc), free_block(&y), free_block(&expected);
}

void test_float_dot(void) {
  for (int i = 0; i < CASES; i++) test_case(random_between(1, one_in(4) ? 1100 : 300));
  report("float_dot %s", dp_isa());
}
