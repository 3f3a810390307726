/* test_epilogue.c: sums to float32 and bfloat16, every bit, and nothing past the last channel. */
#include <string.h>

#include "../src/kernel_table.h"
#include "../src/rounding.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 1500 };

/* Nine significant bits: half-way between two bfloat16, if the scales are 1. */
static int32_t random_tie(void) {
  const int32_t odd = (int32_t)random_between(128, 255) * 2 + 1;
  return (one_in(2) ? odd : -odd) * (1 << random_between(0, 20));
}

static int32_t random_sum(void) {
  switch (random_between(0, 5)) {
    case 0: return 0;
    case 1: return one_in(2) ? INT32_MIN : INT32_MAX;
    case 2: return (int32_t)random_between(0, 200) - 100;
    case 3: return random_tie();
    default: return (int32_t)random_bits();
  }
}

static void test_case(size_t count, dp_type type) {
  const dp_kernels *kernels = dp_active_kernels();
  const size_t size = type == DP_BF16 ? 2 : 4, padded = (count + 15) / 16 * 16;
  block acc = make_input(padded * sizeof(int32_t), 64);
  block w_scale = make_input(padded * sizeof(float), 64), bias = make_input(padded * sizeof(float), 64);
  block y = make_output(count * size, random_offset(size));
  block expected = make_output(count * size, random_offset(size));
  float x_scale;
  random_floats(&x_scale, 1);
  if (one_in(8)) x_scale = dp_float_from_bits(DP_NAN_BITS);
  for (size_t i = 0; i < padded; i++) ((int32_t *)acc.at)[i] = random_sum();
  random_floats(w_scale.at, padded);
  random_floats(bias.at, padded);
  if (one_in(6)) {
    x_scale = 1;
    for (size_t i = 0; i < padded; i++) ((float *)w_scale.at)[i] = 1;
  }
  const float *with = one_in(2) ? bias.at : NULL;

  for (size_t n = 0; n < count; n++) {
    oracle_store(
        expected.at, type, n,
        oracle_dequantize(((int32_t *)acc.at)[n], x_scale, ((float *)w_scale.at)[n], with == NULL ? NULL : with + n));
  }
  dp_epilogue_fn *epilogue = type == DP_BF16 ? kernels->epilogue_bf16 : kernels->epilogue_f32;
  epilogue(acc.at, count, x_scale, w_scale.at, with, y.at);
  for (size_t n = 0; n < count; n++) {
    check(same_element(y.at, expected.at, type, n), "epilogue type %d, channel %zu of %zu: %a, not %a", type, n, count,
          (double)oracle_load(y.at, type, n), (double)oracle_load(expected.at, type, n));
  }
  check(edges_hold(&y), "epilogue type %d, %zu channels wrote past its end", type, count);
  free_block(&acc), free_block(&w_scale), free_block(&bias), free_block(&y), free_block(&expected);
}

void test_epilogue(void) {
  for (int i = 0; i < CASES; i++) test_case(random_between(1, DP_NR), one_in(2) ? DP_F32 : DP_BF16);
  report("epilogue %s", dp_isa());
}
