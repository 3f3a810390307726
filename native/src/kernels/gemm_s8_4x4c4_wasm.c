/*
 * gemm_s8_4x4c4_wasm.c: up to four rows times a block, four channels at a time: eight registers of sums, two
 * of widened weights, four of activations; engines on x86 have fifteen to give, and V8 does the loads of a
 * loop's body before all else. Activations are lined up once per turn, for the whole block, each quad in both
 * of the places that it is to have in a register: V8 adds an offset to a plain load's address only.
 */
#include <string.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "madd128.h"

enum {
  ROWS = 4,
  CHANNELS = 4,
  TURN = 64,               /* quads of these channels before the next ones' turn: 16 KiB of weights */
  STEP = CHANNELS * DP_KR, /* bytes to touch per quad, so that the turn after this one is there in time */
};

typedef v128_t quad_of_rows[ROWS];

static void line_up(const int16_t *x, size_t stride, uint32_t rows, size_t quads, quad_of_rows *to) {
  for (uint32_t m = 0; m < rows; m++) {
    for (size_t q = 0; q < quads; q++) to[q][m] = dp_broadcast_quad(x + m * stride + q * DP_KR);
  }
}

DP_INLINE void turn(const quad_of_rows *x, const int rows, const int8_t *w, size_t quads, int32_t *acc,
                    const int8_t *soon) {
  v128_t low[ROWS], high[ROWS];
  DP_UNROLL for (int m = 0; m < rows; m++) low[m] = high[m] = wasm_i32x4_splat(0);
  for (const int8_t *end = w + quads * DP_QUAD_BYTES; w < end; x++, w += DP_QUAD_BYTES, soon += STEP) {
    dp_touch(soon);
    const v128_t w0 = dp_widen(w), w1 = dp_widen(w + 8);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      const v128_t xm = (*x)[m];
      low[m] = dp_madd(low[m], xm, w0);
      high[m] = dp_madd(high[m], xm, w1);
    }
  }
  DP_UNROLL for (int m = 0; m < rows; m++) dp_add_folded(acc + m * DP_NR, low[m], high[m]);
}

DP_INLINE void tile(const int16_t *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc) {
  quad_of_rows lined_up[TURN];
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN, x += TURN * DP_KR, w += TURN * DP_QUAD_BYTES) {
    const size_t left = quads - q, count = left < TURN ? left : TURN;
    line_up(x, stride, rows, count, lined_up);
    /* the last turns touch their own weights again, for nothing may lie behind them */
    const bool is_last = left < 2 * TURN;
    const int8_t *soon = is_last ? w : w + TURN * DP_QUAD_BYTES;
    for (int c = 0; c < DP_NR; c += CHANNELS, soon += is_last ? 0 : TURN * STEP) {
      turn(lined_up, rows, w + c * DP_KR, count, acc + c, soon);
    }
  }
}

#define CALL(n) tile(xq, apart, n, w, quads, acc)

void dp_gemm_s8_4x4c4_wasm(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                           const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)ahead; /* it may lie outside of the memory, where nothing may be touched */
  (void)col_sum;
  const size_t apart = stride / sizeof(int16_t);
  DP_SWITCH_4(rows, CALL)
}
