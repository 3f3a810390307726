/*
 * gemm_s8_6x8c4_avx2.c: up to six rows times a block, eight channels at a time: twelve registers of
 * sums, two of widened weights, one of activations.
 */
#include "../kernels.h"
#include "madd256.h"

enum { CHANNELS = 8 };

static inline __attribute__((always_inline)) void tile(const int16_t *x, size_t stride, const int rows,
                                                       const int8_t *w, size_t quads, int32_t *acc) {
  __m256i low[6], high[6];
#pragma GCC unroll 6
  for (int m = 0; m < rows; m++) low[m] = high[m] = _mm256_setzero_si256();
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    __m256i w0 = dp_widen(w), w1 = dp_widen(w + 16);
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
      __m256i xm = dp_broadcast_quad(x + m * stride);
      low[m] = dp_madd(low[m], xm, w0);
      high[m] = dp_madd(high[m], xm, w1);
    }
  }
#pragma GCC unroll 6
  for (int m = 0; m < rows; m++) {
    _mm256_store_si256((__m256i *)(void *)(acc + m * DP_NR), dp_fold(low[m], high[m]));
  }
}

void dp_gemm_s8_6x8c4_avx2(const void *xq, size_t stride, uint32_t rows, const int8_t *w,
                           size_t quads, const int32_t *col_sum, int32_t *acc,
                              const int8_t *ahead) {
  (void)ahead;
  (void)col_sum;
  size_t apart = stride / sizeof(int16_t);
  for (int c = 0; c < DP_NR; c += CHANNELS, w += CHANNELS * DP_KR, acc += CHANNELS) {
    switch (rows) {
      case 1: tile(xq, apart, 1, w, quads, acc); break;
      case 2: tile(xq, apart, 2, w, quads, acc); break;
      case 3: tile(xq, apart, 3, w, quads, acc); break;
      case 4: tile(xq, apart, 4, w, quads, acc); break;
      case 5: tile(xq, apart, 5, w, quads, acc); break;
      default: tile(xq, apart, 6, w, quads, acc); break;
    }
  }
}
