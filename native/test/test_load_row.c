/*
 * test_load_row.c: int8 rows into the activation format. Only the kernels know the format, so the test reads a row back
 * by multiplying it with weights that are zero but for one.
 */
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 150 };

static void test_case(uint32_t k) {
  const dp_kernels *kernels = dp_active_kernels();
  block x = make_input(k, 1);
  block xq = make_output(dp_row_stride(dp_active_kernels(), k), 0);
  block w = make_input(dp_block_bytes(k), 64);
  block col_sum = make_input(DP_NR * sizeof(int32_t), 64);
  block acc = make_output(DP_NR * sizeof(int32_t), 0);
  random_bytes(x.at, k);
  kernels->load_row_s8(x.at, k, xq.at);
  memset(w.at, 0, w.bytes);
  memset(col_sum.at, 0, col_sum.bytes);

  /* a block of 64 channels reads 64 elements at once */
  for (uint32_t first = 0; first < k; first += DP_NR) {
    const uint32_t count = k - first < DP_NR ? k - first : DP_NR;
    for (uint32_t c = 0; c < count; c++) {
      ((int8_t *)w.at)[oracle_tile_index(c, first + c, k)] = 1;
      ((int32_t *)col_sum.at)[c] = 1;
    }
    kernels->gemv(xq.at, w.at, dp_quads(k), DP_COLUMNS, col_sum.at, acc.at);
    for (uint32_t c = 0; c < count; c++) {
      const int32_t got = ((int32_t *)acc.at)[c], expected = ((int8_t *)x.at)[first + c];
      check(got == expected, "load_row K %u: element %u is %d, not %d", k, first + c, got, expected);
      ((int8_t *)w.at)[oracle_tile_index(c, first + c, k)] = 0;
      ((int32_t *)col_sum.at)[c] = 0;
    }
  }
  check(edges_hold(&xq) && edges_hold(&acc), "load_row K %u wrote past its end", k);
  free_block(&x), free_block(&xq), free_block(&w), free_block(&col_sum), free_block(&acc);
}

void test_load_row(void) {
  for (uint32_t k = 1; k <= 20; k++) test_case(k);
  for (int i = 0; i < CASES; i++) test_case(random_between(1, 300));
  report("load_row %s", dp_isa());
}
