/*
 * gemm_s8_12x32c4_avx512vnni.c: up to twelve rows times a block, half a block at a time. With so few
 * rows, reading weights is what takes the time: each is loaded once for all rows, and memory is read in
 * order, because the halves take turns every few kilobytes.
 */
#include "../kernel_table.h"
#include "../registers.h"
#include "ahead.h"
#include "vnni512.h"

enum {
  HALF = DP_NR / 2,
  TURN = 32, /* quads of one half before the other's turn: 8 KiB of weights */
};

DP_INLINE void turn(const uint8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc) {
  __m512i sum[12][2];
  DP_UNROLL for (int m = 0; m < rows; m++) {
    sum[m][0] = _mm512_load_si512(acc + m * DP_NR);
    sum[m][1] = _mm512_load_si512(acc + m * DP_NR + DP_COLUMN);
  }
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    _mm_prefetch(dp_column_after(w, 0), _MM_HINT_T0);
    _mm_prefetch(dp_column_after(w, 1), _MM_HINT_T0);
    __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      __m512i xm = dp_broadcast_quad(x + m * stride);
      DP_VPDPBUSD(sum[m][0], xm, w0);
      DP_VPDPBUSD(sum[m][1], xm, w1);
    }
  }
  DP_UNROLL for (int m = 0; m < rows; m++) {
    _mm512_store_si512(acc + m * DP_NR, sum[m][0]);
    _mm512_store_si512(acc + m * DP_NR + DP_COLUMN, sum[m][1]);
  }
}

DP_INLINE void tile(const uint8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads,
                    const int32_t *col_sum, int32_t *acc) {
  for (int c = 0; c < DP_NR; c += DP_COLUMN) {
    __m512i offset = dp_offset(col_sum + c);
    for (int m = 0; m < rows; m++) _mm512_store_si512(acc + m * DP_NR + c, offset);
  }
  for (size_t q = 0; q < quads; q += TURN) {
    size_t count = quads - q < TURN ? quads - q : TURN;
    const int8_t *stretch = w + q * DP_QUAD_BYTES;
    turn(x + q * DP_KR, stride, rows, stretch, count, acc);
    turn(x + q * DP_KR, stride, rows, stretch + HALF * DP_KR, count, acc + HALF);
  }
}

#define CALL(n) tile(xq, stride, n, w, quads, col_sum, acc)

void dp_gemm_s8_12x32c4_avx512vnni(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                                   const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)ahead; /* it looks ahead in its own weights, which are read in order */
  DP_SWITCH_12(rows, CALL)
}
