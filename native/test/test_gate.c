/*
 * test_gate.c: activation(g) * u. The portable kernel must be near the formula, and every other one must give its bits;
 * TypeScript's tests compare them with the same steps in TypeScript.
 */
#include <math.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 400 };

static block random_values(dp_type type, size_t k) {
  const size_t size = type == DP_BF16 ? 2 : 4;
  block values = make_input(k * size, size), floats = make_input(k * sizeof(float), 4);
  random_floats(floats.at, k);
  if (one_in(6)) spoil(floats.at, k);
  for (size_t i = 0; i < k; i++) oracle_store(values.at, type, i, ((float *)floats.at)[i]);
  free_block(&floats);
  return values;
}

static void test_bits(dp_type type, size_t k) {
  const dp_kernels *kernels = dp_active_kernels();
  const dp_activation activation = (dp_activation)random_between(DP_ACT_SILU, DP_ACT_RELU2);
  const size_t size = type == DP_BF16 ? 2 : 4;
  block g = random_values(type, k), u = random_values(type, k);
  block out = make_output(k * size, random_offset(size)), expected = make_output(k * size, 0);
  (type == DP_BF16 ? kernels->gate_bf16 : kernels->gate_f32)(g.at, u.at, k, activation, out.at);
  (type == DP_BF16 ? dp_gate_bf16_scalar : dp_gate_f32_scalar)(g.at, u.at, k, activation, expected.at);
  size_t i = 0;
  while (i < k && same_element(out.at, expected.at, type, i)) i++;
  check(i == k, "gate type %d, K %zu, activation %d: element %zu differs", type, k, activation, i);
  check(edges_hold(&out), "gate type %d, K %zu wrote past its end", type, k);
  free_block(&g), free_block(&u), free_block(&out), free_block(&expected);
}

static void test_formula(void) {
  const float one = 1;
  for (int activation = DP_ACT_SILU; activation <= DP_ACT_RELU2; activation++) {
    for (float g = -12; g <= 12; g += 0.0625f) {
      _Alignas(64) float y;
      dp_active_kernels()->gate_f32(&g, &one, 1, (dp_activation)activation, &y);
      const double expected = oracle_activate((dp_activation)activation, (double)g);
      check(fabs((double)y - expected) <= 2e-6 * fabs(expected) + 1e-9, "activation %d of %g: %g, not %g", activation,
            (double)g, (double)y, expected);
    }
  }
}

void test_gate(void) {
  for (int i = 0; i < CASES; i++) test_bits(one_in(2) ? DP_F32 : DP_BF16, random_between(1, 300));
  test_formula();
  report("gate %s", dp_isa());
}
