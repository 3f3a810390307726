/* test_stream.c: streamed rows arrive whole at any alignment, and nothing beside them changes. */
#include <string.h>

#include "../src/kernel_table.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 200, BYTES_MAX = DP_NR * sizeof(float), LINES = BYTES_MAX / DP_CACHE_LINE };

static void test_row(const dp_gemm_tile *tile, size_t bytes, size_t offset) {
  block row = make_input(BYTES_MAX, DP_CACHE_LINE), y = make_output(bytes, offset);
  random_bytes(row.at, row.bytes);
  tile->stream_row(y.at, row.at, bytes);
  tile->end();
  check(memcmp(y.at, row.at, bytes) == 0, "a streamed row of %zu bytes, %zu off a line", bytes, offset);
  check(edges_hold(&y), "a streamed row of %zu bytes, %zu off a line, wrote past its end", bytes, offset);
  free_block(&row), free_block(&y);
}

void test_stream(void) {
  const dp_gemm_tile *tile = dp_active_kernels()->gemm;
  check(tile->stream_row == NULL || tile->end != NULL, "a stream that does not end");
  if (tile->stream_row != NULL) {
    for (size_t lines = 1; lines <= LINES; lines++) test_row(tile, lines * DP_CACHE_LINE, 0);
    for (int i = 0; i < CASES; i++) {
      test_row(tile, 2 * random_between(1, BYTES_MAX / 2), 2 * random_between(0, DP_CACHE_LINE / 2 - 1));
    }
  }
  report("stream %s", dp_isa());
}
