/* test_dense.c: float weights, in the one fixed order of summing, for every tile. */
#include <string.h>

#include "arena.h"
#include "float_rows.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 150, MOST_K = 200 };

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static void test_case(uint32_t m, uint32_t n, uint32_t k) {
  arena arena = make_arena(random_between(1, 5));
  float_rows w = make_float_rows(n, k, 20);
  block x = make_input((size_t)m * k * sizeof(float), 4), table = make_input(m * sizeof(uint64_t), 8);
  block bias = make_input(n * sizeof(float), 4);
  block y = make_output((size_t)m * n * sizeof(float), random_offset(4));
  random_floats(bias.at, n);
  /* the table lists the rows backwards */
  for (uint32_t i = 0; i < m; i++) {
    float *row = (float *)x.at + (size_t)i * k;
    random_floats(row, k);
    if (one_in(20)) spoil(row, k);
    ((uint64_t *)table.at)[m - 1 - i] = (uint64_t)(uintptr_t)row;
  }
  const bool tabled = one_in(3), biased = one_in(2);
  const dp_op op = {
      .kind = DP_OP_DENSE,
      .m = m,
      .flags = tabled ? DP_X_ROWS : 0,
      .dense =
          {
              .x = tabled ? address_of(&table) : address_of(&x),
              .w = address_of(&w.memory),
              .bias = biased ? address_of(&bias) : 0,
              .y = address_of(&y),
              .n = n,
              .k = k,
              .w_type = w.type,
          },
  };
  run_alone(&arena, &op, 1);
  for (uint32_t i = 0; i < m; i++) {
    const float *row = (float *)x.at + (size_t)(tabled ? m - 1 - i : i) * k;
    for (uint32_t j = 0; j < n; j++) {
      float products[MOST_K];
      for (uint32_t l = 0; l < k; l++) products[l] = row[l] * float_rows_at(&w, j, l);
      float expected = oracle_sum16(products, k);
      if (biased) expected = expected + ((float *)bias.at)[j];
      const float got = ((float *)y.at)[(size_t)i * n + j];
      check(same_float(got, expected), "dense type %d, %u x %u x %u: y[%u, %u] is %a, not %a", w.type, m, n, k, i, j,
            (double)got, (double)expected);
    }
  }
  check(edges_hold(&y), "dense %u x %u x %u wrote beside its memory", m, n, k);
  free_block(&w.memory), free_block(&x), free_block(&table), free_block(&bias), free_block(&y);
  free_arena(&arena);
}

void dense_case(void) { test_case(one_in(3) ? 1 : random_extent(20), random_extent(70), random_extent(MOST_K)); }

void test_dense(void) {
  for (int i = 0; i < CASES; i++) dense_case();
  report("dense %s", dp_isa());
}
