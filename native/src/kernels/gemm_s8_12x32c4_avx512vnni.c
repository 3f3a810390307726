/*
 * gemm_s8_12x32c4_avx512vnni.c: up to twelve rows times a block, half a block at a time. Every
 * weight is loaded once for all rows: with few rows, reading weights is what takes the time.
 */
#include "../kernels.h"
#include "vnni512.h"

/* See gemv_s8_1x64c4_avx512vnni.c. */
enum { AHEAD = 4096 };

static inline __attribute__((always_inline)) void half_tile(const uint8_t *x, size_t stride,
                                                            const int rows, const int8_t *w,
                                                            size_t quads, const int32_t *col_sum,
                                                            int32_t *acc) {
  __m512i sum[12][2];
  __m512i offset0 = dp_offset(col_sum), offset1 = dp_offset(col_sum + DP_COLUMN);
#pragma GCC unroll 12
  for (int m = 0; m < rows; m++) {
    sum[m][0] = offset0;
    sum[m][1] = offset1;
  }
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    _mm_prefetch(w + AHEAD, _MM_HINT_T0);
    _mm_prefetch(w + AHEAD + 64, _MM_HINT_T0);
    __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
      __m512i xm = dp_broadcast_quad(x + m * stride);
      DP_VPDPBUSD(sum[m][0], xm, w0);
      DP_VPDPBUSD(sum[m][1], xm, w1);
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < rows; m++) {
    _mm512_store_si512(acc + m * DP_NR, sum[m][0]);
    _mm512_store_si512(acc + m * DP_NR + DP_COLUMN, sum[m][1]);
  }
}

#define BOTH_HALVES(rows)                                                                  \
  case rows:                                                                               \
    half_tile(xq, stride, rows, w, quads, col_sum, acc);                                   \
    half_tile(xq, stride, rows, w + 128, quads, col_sum + DP_NR / 2, acc + DP_NR / 2);     \
    break

void dp_gemm_s8_12x32c4_avx512vnni(const void *xq, size_t stride, uint32_t rows, const int8_t *w,
                                   size_t quads, const int32_t *col_sum, int32_t *acc) {
  switch (rows) {
    BOTH_HALVES(7);
    BOTH_HALVES(8);
    BOTH_HALVES(9);
    BOTH_HALVES(10);
    BOTH_HALVES(11);
    BOTH_HALVES(12);
    default: dp_gemm_s8_6x64c4_avx512vnni(xq, stride, rows, w, quads, col_sum, acc); break;
  }
}
