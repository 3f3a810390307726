/*
 * gemv_s8_1x64c4_neon.c: one row times up to a block, two columns (sixteen registers of sums) at a time. They
 * take turns every few kilobytes, so that memory is read in order.
 */
#include <string.h>

#include "../kernel_table.h"
#include "mull.h"

enum {
  TURN = 64,    /* quads of two columns before the next ones' turn: 16 KiB of weights */
  AHEAD = 4096, /* see gemv_s8_1x64c4_avx512vnni.c */
};

DP_INLINE void turn(const int8_t *x, const int8_t *w, size_t quads, const int columns, int32_t *acc) {
  int32x4_t sum[2 * DP_VECTORS][2];
  DP_UNROLL for (int v = 0; v < columns * DP_VECTORS; v++) sum[v][0] = sum[v][1] = vdupq_n_s32(0);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    const int8x16_t xq = dp_broadcast_quad(x);
    __builtin_prefetch(w + AHEAD);
    if (columns == 2) __builtin_prefetch(w + AHEAD + 64);
    DP_UNROLL for (int v = 0; v < columns * DP_VECTORS; v++) { dp_multiply_halves(sum[v], xq, vld1q_s8(w + v * 16)); }
  }
  DP_UNROLL for (int v = 0; v < columns * DP_VECTORS; v++) {
    vst1q_s32(acc + v * 4, vaddq_s32(vld1q_s32(acc + v * 4), dp_add_halves(sum[v])));
  }
}

void dp_gemv_s8_1x64c4_neon(const void *xq, const int8_t *w, size_t quads, uint32_t columns, const int32_t *col_sum,
                            int32_t *acc) {
  (void)col_sum;
  const int8_t *x = xq;
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN, x += TURN * DP_KR, w += TURN * DP_QUAD_BYTES) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    uint32_t c = 0;
    for (; c + 2 <= columns; c += 2) turn(x, w + c * 64, count, 2, acc + c * DP_COLUMN);
    if (c < columns) turn(x, w + c * 64, count, 1, acc + c * DP_COLUMN);
  }
}
