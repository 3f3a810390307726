/*
 * test_search.c: weights in four bits. Every kernel must give the bits of the portable one, which TypeScript's tests compare
 * with the same steps in TypeScript, and must not be worse than a plain choice.
 */
#include <math.h>
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 200, MOST_K = 300, MOST_GROUPS = (MOST_K + DP_S4_GROUP - 1) / DP_S4_GROUP };

/* K zeros, padded to whole groups. */
static block padded_row(size_t k) {
  block values = make_input(dp_s4_groups(k) * DP_S4_GROUP * sizeof(float), 4);
  memset(values.at, 0, dp_s4_groups(k) * DP_S4_GROUP * sizeof(float));
  return values;
}

static void test_bits(size_t k) {
  const size_t groups = dp_s4_groups(k), bytes = (k + 1) / 2;
  block w = padded_row(k), x = padded_row(k), h = padded_row(k);
  random_floats(w.at, k);
  if (one_in(8)) spoil(w.at, k);
  random_moderate_floats(h.at, k);
  for (size_t i = 0; i < k; i++) ((float *)h.at)[i] = fabsf(((float *)h.at)[i]) + 0.01f;
  block m = make_output(groups, 0), expected_m = make_output(groups, 0);
  block u = make_output(bytes, 0), expected_u = make_output(bytes, 0);
  dp_s4_steps steps[MOST_GROUPS];
  memcpy(x.at, w.at, groups * DP_S4_GROUP * sizeof(float));
  const float scale = dp_active_kernels()->search_s4(x.at, h.at, k, steps, m.at, u.at);
  memcpy(x.at, w.at, groups * DP_S4_GROUP * sizeof(float));
  const float expected = dp_search_s4_scalar(x.at, h.at, k, steps, expected_m.at, expected_u.at);
  check(memcmp(&scale, &expected, sizeof scale) == 0, "search K %zu: scale %g, not %g", k, (double)scale,
        (double)expected);
  if (!isnan(expected)) {
    check(memcmp(m.at, expected_m.at, groups) == 0, "search K %zu: multipliers differ", k);
    check(memcmp(u.at, expected_u.at, bytes) == 0, "search K %zu: nibbles differ", k);
  }
  check(edges_hold(&m) && edges_hold(&u), "search K %zu wrote past its end", k);
  free_block(&w), free_block(&x), free_block(&h);
  free_block(&m), free_block(&expected_m), free_block(&u), free_block(&expected_u);
}

/* Weights on the grid of a scale and a multiplier, whose ends tell its step. */
static void test_grid(void) {
  _Alignas(64) float x[DP_S4_GROUP], h[DP_S4_GROUP];
  for (int i = 0; i < DP_S4_GROUP; i++) x[i] = 0.25f * (float)(i % 16 - 8), h[i] = 1;
  dp_s4_steps steps;
  int8_t m;
  uint8_t u[DP_S4_GROUP / 2];
  const float scale = dp_active_kernels()->search_s4(x, h, DP_S4_GROUP, &steps, &m, u);
  check(fabsf(scale * (float)m - 0.25f) < 1e-6f, "search: a step of %g, not 0.25", (double)(scale * (float)m));
  for (int i = 0; i < DP_S4_GROUP; i++) {
    check((u[i / 2] >> i % 2 * 4 & 15) == i % 16, "search: element %d of the grid moved", i);
  }
}

void test_search(void) {
  for (int i = 0; i < CASES; i++) test_bits(random_between(1, MOST_K));
  test_grid();
  report("search %s", dp_isa());
}
