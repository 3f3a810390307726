/*
 * gemv_s8_1x64c4_wasm.c: one row times up to a block, eight channels at a time: four registers of sums and,
 * since V8 does the loads of a loop's body before all else, four of weights and one of activations. They take
 * turns every few kilobytes, while the next ones' weights are touched.
 */
#include <string.h>

#include "../kernel_table.h"
#include "madd128.h"

enum {
  CHANNELS = 8,
  REGISTERS = CHANNELS / 2,
  TURN = 32,               /* quads of these channels before the next ones' turn: 8 KiB of weights */
  STEP = CHANNELS * DP_KR, /* bytes to touch per quad, so that the turn after this one is there in time */
};

static void turn(const int16_t *x, const int8_t *w, size_t quads, int32_t *acc, const int8_t *soon) {
  v128_t sum[REGISTERS];
  DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = wasm_i32x4_splat(0);
  for (const int8_t *end = w + quads * DP_QUAD_BYTES; w < end; x += DP_KR, w += DP_QUAD_BYTES, soon += STEP) {
    dp_touch(soon);
    const v128_t xq = dp_broadcast_quad(x);
    DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = dp_madd(sum[r], xq, dp_widen(w + r * 8));
  }
  DP_UNROLL for (int r = 0; r < REGISTERS; r += 2) dp_add_folded(acc + r * 2, sum[r], sum[r + 1]);
}

void dp_gemv_s8_1x64c4_wasm(const void *xq, const int8_t *w, size_t quads, uint32_t columns, const int32_t *col_sum,
                            int32_t *acc) {
  (void)col_sum;
  const int16_t *x = xq;
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN, x += TURN * DP_KR, w += TURN * DP_QUAD_BYTES) {
    const size_t left = quads - q;
    /* the last turns touch their own weights again, for nothing may lie behind them */
    const bool is_last = left < 2 * TURN;
    const int8_t *soon = is_last ? w : w + TURN * DP_QUAD_BYTES;
    for (uint32_t c = 0; c < columns * DP_COLUMN; c += CHANNELS, soon += is_last ? 0 : TURN * STEP) {
      turn(x, w + c * DP_KR, left < TURN ? left : TURN, acc + c, soon);
    }
  }
}
