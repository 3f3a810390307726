/*
 * gemv_s8_1x64c4_wasm.c: one row times up to a block, a column (eight registers of sums) at a time. Columns
 * take turns every page of weights: nothing here can ask for memory ahead, so it is read in order, as the
 * CPU itself expects it.
 */
#include <string.h>

#include "../kernels.h"
#include "madd128.h"

enum { REGISTERS = DP_COLUMN / 2, TURN = 4096 / DP_QUAD_BYTES };

static void turn(const int16_t *x, const int8_t *w, size_t quads, int32_t *acc) {
  v128_t sum[REGISTERS];
  DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = wasm_i32x4_splat(0);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    const v128_t xq = dp_broadcast_quad(x);
    DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = dp_madd(sum[r], xq, dp_widen(w + r * 8));
  }
  DP_UNROLL for (int r = 0; r < REGISTERS; r += 2) dp_add_folded(acc + r * 2, sum[r], sum[r + 1]);
}

void dp_gemv_s8_1x64c4_wasm(const void *xq, const int8_t *w, size_t quads, uint32_t columns,
                            const int32_t *col_sum, int32_t *acc) {
  (void)col_sum;
  const int16_t *x = xq;
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    for (uint32_t c = 0; c < columns; c++) {
      turn(x + q * DP_KR, w + q * DP_QUAD_BYTES + c * 64, count, acc + c * DP_COLUMN);
    }
  }
}
