/*
 * gemv_s8_1x64c4_avx2.c: one row times up to a block, eight registers of sums. Bound by memory: on AMD's cores
 * four stretches of k are read by turns, because hardware prefetches each of several streams by itself, and far
 * requests only disturb it; Intel's cores want one stream, and to be asked well ahead.
 */
#include "../kernel_table.h"
#include "sign256.h"

/* sum += x * w, one quad; asks for what lies `ahead` bytes on. */
static inline __attribute__((always_inline)) void add_quad(__m256i *sum, const int registers, const int8_t *x,
                                                           const int8_t *w, const size_t ahead) {
  const __m256i xq = dp_broadcast(x), ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
  for (int c = 0; c < registers / DP_REGISTERS; c++) _mm_prefetch(w + ahead + c * 64, _MM_HINT_T0);
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) DP_DOT_AT(sum[r], xq, w + r * 32, ones);
}

static inline __attribute__((always_inline)) void gemv(const int8_t *x, const int8_t *w, size_t quads,
                                                       const int columns, int32_t *acc, const int streams,
                                                       const size_t ahead) {
  const int registers = columns * DP_REGISTERS;
  const size_t stretch = quads / streams;
  __m256i sum[DP_NR / DP_LANES];
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) sum[r] = _mm256_setzero_si256();
  for (size_t q = 0; q < stretch; q++) {
#pragma GCC unroll 4
    for (int s = 0; s < streams; s++) {
      const size_t at = s * stretch + q;
      add_quad(sum, registers, x + at * DP_KR, w + at * DP_QUAD_BYTES, ahead);
    }
  }
  for (size_t q = streams * stretch; q < quads; q++) {
    add_quad(sum, registers, x + q * DP_KR, w + q * DP_QUAD_BYTES, ahead);
  }
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) dp_store(acc + r * DP_LANES, sum[r]);
}

static void by_stretches(const int8_t *x, const int8_t *w, size_t quads, uint32_t columns, int32_t *acc) {
  enum { STREAMS = 4, AHEAD = DP_QUAD_BYTES };
  switch (columns) {
    case 1: gemv(x, w, quads, 1, acc, STREAMS, AHEAD); break;
    case 2: gemv(x, w, quads, 2, acc, STREAMS, AHEAD); break;
    case 3: gemv(x, w, quads, 3, acc, STREAMS, AHEAD); break;
    default: gemv(x, w, quads, 4, acc, STREAMS, AHEAD); break;
  }
}

static void in_order(const int8_t *x, const int8_t *w, size_t quads, uint32_t columns, int32_t *acc) {
  enum { STREAMS = 1, AHEAD = 4096 };
  switch (columns) {
    case 1: gemv(x, w, quads, 1, acc, STREAMS, AHEAD); break;
    case 2: gemv(x, w, quads, 2, acc, STREAMS, AHEAD); break;
    case 3: gemv(x, w, quads, 3, acc, STREAMS, AHEAD); break;
    default: gemv(x, w, quads, 4, acc, STREAMS, AHEAD); break;
  }
}

void dp_gemv_s8_1x64c4_avx2(const void *xq, const int8_t *w, size_t quads, uint32_t columns,
                            const int32_t *col_sum, int32_t *acc) {
  (void)col_sum;
  if (__builtin_cpu_is("amd")) {
    by_stretches(xq, w, quads, columns, acc);
  } else {
    in_order(xq, w, quads, columns, acc);
  }
}
