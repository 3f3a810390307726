/*
 * gemm_s8_3x16c4_neon.c: up to three rows times a block, a column at a time: 24 registers of sums. Columns
 * take turns every few kilobytes, so that memory is read in order.
 */
#include <string.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "mull.h"
#include "neon.h"

enum {
  ROWS = 3,
  TURN = 64,                    /* quads of one column before the next one's turn: 16 KiB of weights */
  AHEAD = TURN * DP_QUAD_BYTES, /* so the turn after this one is on its way */
};

DP_INLINE void turn(const int8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc,
                    const int8_t *ahead) {
  int32x4_t sum[ROWS][DP_VECTORS][2];
  DP_UNROLL for (int m = 0; m < rows; m++) {
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) sum[m][v][0] = sum[m][v][1] = vdupq_n_s32(0);
  }
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES, ahead += DP_CACHE_LINE / 4) {
    __builtin_prefetch(w + AHEAD);
    __builtin_prefetch(ahead, 0, 2);
    int8x16_t wv[DP_VECTORS];
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) wv[v] = vld1q_s8(w + v * 16);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      const int8x16_t xm = dp_broadcast_quad(x + m * stride);
      DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) dp_multiply_halves(sum[m][v], xm, wv[v]);
      DP_LOADS_STAY();
    }
  }
  DP_UNROLL for (int m = 0; m < rows; m++) {
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) {
      int32_t *to = acc + m * DP_NR + v * 4;
      vst1q_s32(to, vaddq_s32(vld1q_s32(to), dp_add_halves(sum[m][v])));
    }
  }
}

DP_INLINE void tile(const int8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc,
                    const int8_t *ahead) {
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    for (int c = 0; c < DP_NR; c += DP_COLUMN, ahead += count * (DP_CACHE_LINE / 4)) {
      turn(x + q * DP_KR, stride, rows, w + q * DP_QUAD_BYTES + c * DP_KR, count, acc + c, ahead);
    }
  }
}

#define CALL(n) tile(xq, stride, n, w, quads, acc, ahead)

void dp_gemm_s8_3x16c4_neon(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                            const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)col_sum;
  DP_SWITCH_3(rows, CALL)
}
