/*
 * gemv_s8_1x64c4_wasmrelaxed.c: one row times up to a block, two columns (eight registers of sums) at a time.
 * They take turns as in gemv_s8_1x64c4_wasm.c.
 */
#include "../kernel_table.h"
#include "relaxed128.h"

enum { REGISTERS = DP_COLUMN / 4, TURN = 4096 / DP_QUAD_BYTES };

DP_INLINE void turn(const uint8_t *x, const int8_t *w, size_t quads, const int columns, int32_t *acc) {
  v128_t sum[2 * REGISTERS];
  DP_UNROLL for (int r = 0; r < columns * REGISTERS; r++) sum[r] = wasm_v128_load(acc + r * 4);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    const v128_t xq = dp_broadcast_quad(x);
    DP_UNROLL for (int r = 0; r < columns * REGISTERS; r++) { sum[r] = dp_dot(sum[r], xq, wasm_v128_load(w + r * 16)); }
  }
  DP_UNROLL for (int r = 0; r < columns * REGISTERS; r++) wasm_v128_store(acc + r * 4, sum[r]);
}

static void turns(const uint8_t *x, const int8_t *w, size_t quads, uint32_t columns, int32_t *acc) {
  uint32_t c = 0;
  for (; c + 2 <= columns; c += 2) turn(x, w + c * 64, quads, 2, acc + c * DP_COLUMN);
  if (c < columns) turn(x, w + c * 64, quads, 1, acc + c * DP_COLUMN);
}

void dp_gemv_s8_1x64c4_wasmrelaxed(const void *xq, const int8_t *w, size_t quads, uint32_t columns,
                                   const int32_t *col_sum, int32_t *acc) {
  const uint8_t *x = xq;
  const bool is_signed = dp_offset() == 0;
  for (uint32_t n = 0; n < columns * DP_COLUMN; n += 4) wasm_v128_store(acc + n, dp_first_sums(col_sum + n));
  for (size_t q = 0; q < quads; q += TURN, x += TURN * DP_KR, w += TURN * DP_QUAD_BYTES) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    if (is_signed && dp_holds_least(x, 0, 1, count)) {
      dp_parts parts;
      dp_split(x, 0, 1, count, &parts);
      turns(parts.most[0], w, count, columns, acc);
      turns(parts.rest[0], w, count, columns, acc);
    } else {
      turns(x, w, count, columns, acc);
    }
  }
}
