/* test_pack.c: int8 weights into tiles, by rows and by columns. */
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 200 };

static void check_block(const char *what, const block *tiles, const block *col_sum, const int8_t *w, uint32_t channels,
                        uint32_t k) {
  block expected = make_input(tiles->bytes, 64), sums = make_input(col_sum->bytes, 64);
  oracle_pack(w, channels, k, expected.at, sums.at);
  check(memcmp(tiles->at, expected.at, tiles->bytes) == 0, "%s of %u x %u: tiles differ", what, channels, k);
  check(memcmp(col_sum->at, sums.at, sums.bytes) == 0, "%s of %u x %u: colSum differs", what, channels, k);
  check(edges_hold(tiles) && edges_hold(col_sum), "%s of %u x %u wrote past its end", what, channels, k);
  free_block(&expected), free_block(&sums);
}

static void test_rows(uint32_t channels, uint32_t k) {
  const size_t stride = k + random_between(0, 5);
  block w = make_input((channels - 1) * stride + k, 1);
  block plain = make_input((size_t)channels * k, 64);
  block tiles = make_output(dp_block_bytes(k), 0), col_sum = make_output(DP_NR * sizeof(int32_t), 0);
  random_bytes(w.at, w.bytes);
  for (uint32_t c = 0; c < channels; c++) {
    memcpy((int8_t *)plain.at + (size_t)c * k, (int8_t *)w.at + c * stride, k);
  }
  dp_active_kernels()->pack_block_s8(w.at, stride, channels, k, tiles.at, col_sum.at);
  check_block("pack_block", &tiles, &col_sum, plain.at, channels, k);
  free_block(&w), free_block(&plain), free_block(&tiles), free_block(&col_sum);
}

static void test_columns(uint32_t channels, uint32_t k) {
  const size_t stride = channels + random_between(0, 70);
  block w = make_input((k - 1) * stride + channels, 1);
  block plain = make_input((size_t)channels * k, 64);
  block tiles = make_output(dp_block_bytes(k), 0), col_sum = make_output(DP_NR * sizeof(int32_t), 0);
  random_bytes(w.at, w.bytes);
  for (uint32_t c = 0; c < channels; c++) {
    for (uint32_t i = 0; i < k; i++) {
      ((int8_t *)plain.at)[(size_t)c * k + i] = ((int8_t *)w.at)[i * stride + c];
    }
  }
  dp_active_kernels()->pack_block_transposed_s8(w.at, stride, channels, k, tiles.at, col_sum.at);
  check_block("pack_block_transposed", &tiles, &col_sum, plain.at, channels, k);
  free_block(&w), free_block(&plain), free_block(&tiles), free_block(&col_sum);
}

void test_pack(void) {
  for (int i = 0; i < CASES; i++) {
    test_rows(random_between(1, DP_NR), random_between(1, 300));
    test_columns(random_between(1, DP_NR), random_between(1, 300));
  }
  report("pack %s", dp_isa());
}
