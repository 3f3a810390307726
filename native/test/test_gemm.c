/* test_gemm.c: exact sums of as many rows as a tile takes, and of fewer, with a block. */
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 120 };

static void test_case(const dp_gemm_tile *tile, uint32_t rows, uint32_t k, bool extreme) {
  const dp_kernels *kernels = dp_active_kernels();
  /* rows may be further apart than their length */
  const size_t stride = dp_row_stride(dp_active_kernels(), k) + 64 * random_between(0, 2);
  block x = make_input((size_t)rows * k, 64), w = make_input((size_t)DP_NR * k, 64);
  block tiles = make_input(dp_block_bytes(k), 64);
  block col_sum = make_input(DP_NR * sizeof(int32_t), 64);
  block xq = make_output(rows * stride, 0);
  block acc = make_output((size_t)rows * DP_NR * sizeof(int32_t), 0);
  random_bytes(x.at, x.bytes);
  if (tile->symmetric) make_symmetric(x.at, x.bytes);
  random_bytes(w.at, w.bytes);
  if (extreme) {
    memset(x.at, 127, x.bytes);
    memset(w.at, -128, w.bytes);
  }
  oracle_pack(w.at, DP_NR, k, tiles.at, col_sum.at);
  for (uint32_t m = 0; m < rows; m++) {
    kernels->load_row_s8((int8_t *)x.at + (size_t)m * k, k, (char *)xq.at + m * stride);
  }

  /* it may prefetch past the block, but must not read there */
  tile->run(xq.at, stride, rows, tiles.at, dp_quads(k), col_sum.at, acc.at, (int8_t *)tiles.at + tiles.bytes);
  if (tile->end != NULL && one_in(2)) tile->end();
  for (uint32_t m = 0; m < rows; m++) {
    for (uint32_t c = 0; c < DP_NR; c++) {
      const int8_t *row = (int8_t *)x.at + (size_t)m * k;
      const int32_t expected = oracle_dot(row, (int8_t *)w.at + (size_t)c * k, k);
      const int32_t got = ((int32_t *)acc.at)[m * DP_NR + c];
      check(got == expected, "gemm of up to %u rows, K %u, row %u of %u, channel %u: %d, not %d", tile->mr, k, m, rows,
            c, got, expected);
    }
  }
  check(edges_hold(&acc), "gemm of up to %u rows, K %u, %u rows wrote past its end", tile->mr, k, rows);
  free_block(&x), free_block(&w), free_block(&tiles);
  free_block(&col_sum), free_block(&xq), free_block(&acc);
}

static void test_tile(const dp_gemm_tile *tile) {
  check(tile->mr >= 1 && tile->mr <= DP_MR_MAX, "a tile of %u rows", tile->mr);
  for (uint32_t rows = 1; rows <= tile->mr; rows++) test_case(tile, rows, rows, false);
  for (int i = 0; i < CASES; i++) {
    test_case(tile, random_between(1, tile->mr), random_between(1, 300), false);
  }
  test_case(tile, tile->mr, 4099, false);
  test_case(tile, 1, DP_MAX_K, true);
  if (tile->end != NULL) tile->end();
}

void test_gemm(void) {
  test_tile(dp_active_kernels()->gemm);
  test_tile(dp_active_kernels()->gemm_few);
  report("gemm %s", dp_isa());
}
