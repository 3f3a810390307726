/*
 * test_quantize_row.c: scale and integers of a row. The integers are compared in the activation format; load_row, which
 * has a test of its own, stores the expected ones.
 */
#include <string.h>

#include "../src/kernel_table.h"
#include "../src/rounding.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 600 };

static void test_case(uint32_t k, dp_type type) {
  const dp_kernels *kernels = dp_active_kernels();
  const size_t size = type == DP_BF16 ? 2 : 4, stride = dp_row_stride(dp_active_kernels(), k);
  block values = make_input(k * sizeof(float), 64);
  block x = make_input(k * size, size);
  block q = make_input(k, 64);
  block xq = make_output(stride, 0), expected = make_output(stride, 0);
  random_floats(values.at, k);
  if (one_in(6)) spoil(values.at, k);
  for (size_t i = 0; i < k; i++) oracle_store(x.at, type, i, ((float *)values.at)[i]);

  const float scale = oracle_quantize_row(x.at, type, k, q.at);
  kernels->load_row_s8(q.at, k, expected.at);
  dp_quantize_row_fn *quantize = type == DP_BF16 ? kernels->quantize_row_bf16 : kernels->quantize_row_f32;
  const float got = quantize(x.at, k, DP_ABSMAX_FLOOR, xq.at);

  check(same_float(got, scale), "quantize_row type %d, K %u: scale %a, not %a", type, k, (double)got, (double)scale);
  check(memcmp(xq.at, expected.at, stride) == 0, "quantize_row type %d, K %u: integers differ", type, k);
  check(edges_hold(&xq), "quantize_row type %d, K %u wrote past its end", type, k);
  free_block(&values), free_block(&x), free_block(&q), free_block(&xq), free_block(&expected);
}

void test_quantize_row(void) {
  for (int i = 0; i < CASES; i++) test_case(random_between(1, 300), one_in(2) ? DP_F32 : DP_BF16);
  test_case(DP_MAX_K, DP_F32);
  test_case(5003, DP_BF16);
  report("quantize_row %s", dp_isa());
}
