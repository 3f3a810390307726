/*
 * gemm_s8_4x4c4_wasm.c: up to four rows times a block, four channels at a time: eight registers of sums, two
 * of widened weights, one of activations; engines on x86 have fifteen to give.
 */
#include <string.h>

#include "../kernels.h"
#include "madd128.h"

enum {
  CHANNELS = 4,
  TURN = 64, /* quads of these channels before the next ones' turn: 16 KiB of weights */
};

DP_INLINE void turn(const int16_t *x, size_t stride, const int rows, const int8_t *w, size_t quads,
                    int32_t *acc) {
  v128_t low[4], high[4];
  DP_UNROLL for (int m = 0; m < rows; m++) low[m] = high[m] = wasm_i32x4_splat(0);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    const v128_t w0 = dp_widen(w), w1 = dp_widen(w + 8);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      const v128_t xm = dp_broadcast_quad(x + m * stride);
      low[m] = dp_madd(low[m], xm, w0);
      high[m] = dp_madd(high[m], xm, w1);
    }
  }
  DP_UNROLL for (int m = 0; m < rows; m++) dp_add_folded(acc + m * DP_NR, low[m], high[m]);
}

DP_INLINE void tile(const int16_t *x, size_t stride, const int rows, const int8_t *w, size_t quads,
                    int32_t *acc) {
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    for (int c = 0; c < DP_NR; c += CHANNELS) {
      turn(x + q * DP_KR, stride, rows, w + q * DP_QUAD_BYTES + c * DP_KR, count, acc + c);
    }
  }
}

void dp_gemm_s8_4x4c4_wasm(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                           const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)ahead;
  (void)col_sum;
  const size_t apart = stride / sizeof(int16_t);
  switch (rows) {
    case 1: tile(xq, apart, 1, w, quads, acc); break;
    case 2: tile(xq, apart, 2, w, quads, acc); break;
    case 3: tile(xq, apart, 3, w, quads, acc); break;
    default: tile(xq, apart, 4, w, quads, acc); break;
  }
}
