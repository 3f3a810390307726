/*
 * gemm_s8_6x16c4_dotprod.c: up to six rows times a block, a column at a time. 24 of the 32 registers are
 * sums, six hold four quads of a row each, two hold weights: per 96 multiplies only 22 loads. Columns take
 * turns every few kilobytes, so that memory is read in order.
 */
#include <string.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "neon.h"

enum {
  ROWS = 6,
  TURN = 64,                    /* quads of one column before the next one's turn: 16 KiB of weights */
  AHEAD = TURN * DP_QUAD_BYTES, /* so the turn after this one is on its way */
};

/* sum[m][c] += quad `lane` of row m . the weights of one quad */
DP_INLINE void multiply_quad(int32x4_t sum[ROWS][DP_VECTORS], const int8x16_t x[ROWS], const int rows, const int8_t *w,
                             const int lane) {
  __builtin_prefetch(w + AHEAD);
  DP_UNROLL for (int v = 0; v < DP_VECTORS; v += 2) {
    const int8x16_t w0 = vld1q_s8(w + v * 16), w1 = vld1q_s8(w + v * 16 + 16);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      DP_SDOT(sum[m][v], w0, x[m], lane);
      DP_SDOT(sum[m][v + 1], w1, x[m], lane);
    }
    DP_LOADS_STAY();
  }
}

DP_INLINE void turn(const int8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc,
                    const int8_t *ahead) {
  int32x4_t sum[ROWS][DP_VECTORS];
  int8x16_t xm[ROWS];
  DP_UNROLL for (int m = 0; m < rows; m++) {
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) sum[m][v] = vld1q_s32(acc + m * DP_NR + v * 4);
  }
  size_t q = 0;
  for (; q + 4 <= quads; q += 4, x += 4 * DP_KR, w += 4 * DP_QUAD_BYTES, ahead += DP_CACHE_LINE) {
    __builtin_prefetch(ahead, 0, 2);
    DP_UNROLL for (int m = 0; m < rows; m++) xm[m] = vld1q_s8(x + m * stride);
    multiply_quad(sum, xm, rows, w, 0);
    multiply_quad(sum, xm, rows, w + DP_QUAD_BYTES, 1);
    multiply_quad(sum, xm, rows, w + 2 * DP_QUAD_BYTES, 2);
    multiply_quad(sum, xm, rows, w + 3 * DP_QUAD_BYTES, 3);
  }
#pragma GCC unroll 1 /* the three quads left at most */
  for (; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    DP_UNROLL for (int m = 0; m < rows; m++) xm[m] = dp_broadcast_quad(x + m * stride);
    multiply_quad(sum, xm, rows, w, 0);
  }
  DP_UNROLL for (int m = 0; m < rows; m++) {
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) vst1q_s32(acc + m * DP_NR + v * 4, sum[m][v]);
  }
}

DP_INLINE void tile(const int8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc,
                    const int8_t *ahead) {
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    for (int c = 0; c < DP_NR; c += DP_COLUMN, ahead += count / 4 * DP_CACHE_LINE) {
      turn(x + q * DP_KR, stride, rows, w + q * DP_QUAD_BYTES + c * DP_KR, count, acc + c, ahead);
    }
  }
}

#define CALL(n) tile(xq, stride, n, w, quads, acc, ahead)

void dp_gemm_s8_6x16c4_dotprod(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                               const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)col_sum;
  DP_SWITCH_6(rows, CALL)
}
