/*
 * gemv_s8_1x64c4_avx2.c: one row times up to a block, eight registers of sums. Bound by memory: four stretches
 * of k are read by turns, because hardware prefetches each of several streams by itself.
 */
#include "../kernels.h"
#include "sign256.h"

enum {
  STREAMS = 4,
  AHEAD = DP_QUAD_BYTES, /* what the stretch's next turn reads; further ahead hardware looks */
};

/* sum += x * w, one quad. */
static inline __attribute__((always_inline)) void add_quad(__m256i *sum, const int registers, const int8_t *x,
                                                           const int8_t *w) {
  const __m256i xq = dp_broadcast(x), ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
  for (int c = 0; c < registers / DP_REGISTERS; c++) _mm_prefetch(w + AHEAD + c * 64, _MM_HINT_T0);
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) DP_DOT(sum[r], xq, dp_load(w + r * 32), ones);
}

static inline __attribute__((always_inline)) void gemv(const int8_t *x, const int8_t *w, size_t quads,
                                                       const int columns, int32_t *acc) {
  const int registers = columns * DP_REGISTERS;
  const size_t stretch = quads / STREAMS;
  __m256i sum[DP_NR / DP_LANES];
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) sum[r] = _mm256_setzero_si256();
  for (size_t q = 0; q < stretch; q++) {
#pragma GCC unroll 4
    for (int s = 0; s < STREAMS; s++) {
      const size_t at = s * stretch + q;
      add_quad(sum, registers, x + at * DP_KR, w + at * DP_QUAD_BYTES);
    }
  }
  for (size_t q = STREAMS * stretch; q < quads; q++) {
    add_quad(sum, registers, x + q * DP_KR, w + q * DP_QUAD_BYTES);
  }
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) dp_store(acc + r * DP_LANES, sum[r]);
}

void dp_gemv_s8_1x64c4_avx2(const void *xq, const int8_t *w, size_t quads, uint32_t columns,
                            const int32_t *col_sum, int32_t *acc) {
  (void)col_sum;
  switch (columns) {
    case 1: gemv(xq, w, quads, 1, acc); break;
    case 2: gemv(xq, w, quads, 2, acc); break;
    case 3: gemv(xq, w, quads, 3, acc); break;
    default: gemv(xq, w, quads, 4, acc); break;
  }
}
