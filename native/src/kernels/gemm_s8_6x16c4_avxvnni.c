/*
 * gemm_s8_6x16c4_avxvnni.c: up to six rows times a block, a column at a time. Twelve of the 16 registers
 * are sums, two hold a quad's weights, one a row's activations: per twelve multiplies eight loads. The
 * columns take turns every few kilobytes, so that memory is read in order.
 */
#include "../kernels.h"
#include "vnni256.h"

enum {
  TURN = 64,                    /* quads of one column before the next one's turn: 16 KiB of weights */
  AHEAD = TURN * DP_QUAD_BYTES, /* so the turn after this one is on its way */
};

static inline __attribute__((always_inline)) void turn(const uint8_t *x, size_t stride, const int rows,
                                                       const int8_t *w, size_t quads, int32_t *acc) {
  __m256i sum[6][DP_REGISTERS];
#pragma GCC unroll 6
  for (int m = 0; m < rows; m++) {
    sum[m][0] = dp_load(acc + m * DP_NR);
    sum[m][1] = dp_load(acc + m * DP_NR + DP_LANES);
  }
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    _mm_prefetch(w + AHEAD, _MM_HINT_T0);
    __m256i w0 = dp_load(w), w1 = dp_load(w + 32);
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
      __m256i xm = dp_broadcast(x + m * stride);
      DP_VPDPBUSD(sum[m][0], xm, w0);
      DP_VPDPBUSD(sum[m][1], xm, w1);
    }
  }
#pragma GCC unroll 6
  for (int m = 0; m < rows; m++) {
    dp_store(acc + m * DP_NR, sum[m][0]);
    dp_store(acc + m * DP_NR + DP_LANES, sum[m][1]);
  }
}

static inline __attribute__((always_inline)) void tile(const uint8_t *x, size_t stride, const int rows,
                                                       const int8_t *w, size_t quads,
                                                       const int32_t *col_sum, int32_t *acc) {
  for (int c = 0; c < DP_NR; c += DP_LANES) {
    __m256i offset = dp_offset(col_sum + c);
    for (int m = 0; m < rows; m++) dp_store(acc + m * DP_NR + c, offset);
  }
  for (size_t q = 0; q < quads; q += TURN) {
    size_t count = quads - q < TURN ? quads - q : TURN;
    for (int c = 0; c < DP_NR; c += DP_COLUMN) {
      turn(x + q * DP_KR, stride, rows, w + q * DP_QUAD_BYTES + c * DP_KR, count, acc + c);
    }
  }
}

#define CASE(rows) \
  case rows: tile(xq, stride, rows, w, quads, col_sum, acc); break

void dp_gemm_s8_6x16c4_avxvnni(const void *xq, size_t stride, uint32_t rows, const int8_t *w,
                               size_t quads, const int32_t *col_sum, int32_t *acc,
                               const int8_t *ahead) {
  (void)ahead; /* it looks ahead in its own weights, which are read in order */
  switch (rows) {
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    default: CASE(6);
  }
}
