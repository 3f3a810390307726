/* test_gemv.c: exact sums of one row with any columns of a block. */
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 300 };

static void test_case(uint32_t k, bool extreme) {
  const dp_kernels *kernels = dp_active_kernels();
  const uint32_t columns = random_between(1, DP_COLUMNS);
  const uint32_t first = random_between(0, DP_COLUMNS - columns) * DP_COLUMN;
  block x = make_input(k, 64), w = make_input((size_t)DP_NR * k, 64);
  block tiles = make_input(dp_block_bytes(k), 64);
  block col_sum = make_input(DP_NR * sizeof(int32_t), 64);
  block xq = make_output(dp_row_stride(dp_active_kernels(), k), 0);
  block acc = make_output(columns * DP_COLUMN * sizeof(int32_t), 0);
  random_bytes(x.at, k);
  make_symmetric(x.at, k);
  random_bytes(w.at, w.bytes);
  if (extreme) {
    memset(x.at, one_in(2) ? 127 : -127, x.bytes);
    memset(w.at, -128, w.bytes);
  }
  oracle_pack(w.at, DP_NR, k, tiles.at, col_sum.at);
  kernels->load_row_s8(x.at, k, xq.at);

  kernels->gemv(xq.at, (int8_t *)tiles.at + first * DP_KR, dp_quads(k), columns, (int32_t *)col_sum.at + first, acc.at);
  for (uint32_t c = 0; c < columns * DP_COLUMN; c++) {
    const int32_t expected = oracle_dot(x.at, (int8_t *)w.at + (size_t)(first + c) * k, k);
    const int32_t got = ((int32_t *)acc.at)[c];
    check(got == expected, "gemv K %u, channel %u of %u: %d, not %d", k, c, columns * DP_COLUMN, got, expected);
  }
  check(edges_hold(&acc), "gemv K %u, %u columns wrote past its end", k, columns);
  free_block(&x), free_block(&w), free_block(&tiles);
  free_block(&col_sum), free_block(&xq), free_block(&acc);
}

void test_gemv(void) {
  for (int i = 0; i < CASES; i++) test_case(random_between(1, 300), false);
  test_case(4097, false);
  test_case(DP_MAX_K, true);
  report("gemv %s", dp_isa());
}
