/*
 * gemv_s4_1x64c8_wasmrelaxed.c: one row times up to a block of four bits, a column at a time: four registers of sums,
 * four of weights, two of activations. Columns take turns in each group, so that memory is read in order.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_relaxed128.h"

enum { REGISTERS = DP_COLUMN / 4 };

/* acc += a group's sums of a column, times their multipliers */
DP_INLINE void add_column(const int8_t *x, int32_t start, const uint8_t *m, const uint8_t *pair, int32_t *acc) {
  v128_t sum[REGISTERS];
  DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = wasm_i32x4_splat(start);
  DP_ROLLED for (int i = 0; i < DP_S4_PAIRS; i++, x += 2 * DP_KR, pair += DP_QUAD_BYTES) {
    const v128_t x0 = wasm_v128_load32_splat(x), x1 = wasm_v128_load32_splat(x + DP_KR);
    DP_UNROLL for (int r = 0; r < REGISTERS; r++) {
      const v128_t nibbles = wasm_v128_load(pair + r * 16);
      sum[r] = dp_dot(dp_dot(sum[r], dp_low_nibbles(nibbles), x0), dp_high_nibbles(nibbles), x1);
    }
  }
  DP_UNROLL for (int r = 0; r < REGISTERS; r += 2) {
    const v128_t eight = dp_multipliers(m + r * 4);
    dp_add_products(acc + r * 4, sum[r], dp_first_four(eight));
    dp_add_products(acc + r * 4 + 4, sum[r + 1], dp_last_four(eight));
  }
}

void dp_gemv_s4_1x64c8_wasmrelaxed(const void *xq, const uint8_t *w, size_t groups, uint32_t first, uint32_t columns,
                                   int32_t *acc) {
  const uint8_t *x = xq;
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  while (groups > 0) {
    const size_t turn = groups < DP_S4_TURN ? groups : DP_S4_TURN;
    dp_signed_row row;
    dp_sign_row(x, turn, &row);
    for (size_t g = 0; g < turn; g++, w += DP_S4_GROUP_BYTES) {
      for (uint32_t c = 0; c < columns; c++) {
        const uint8_t *m = w + (first + c) * DP_COLUMN, *pairs = w + DP_NR + (first + c) * DP_COLUMN * DP_KR;
        add_column(row.x + g * DP_S4_GROUP, row.start[g], m, pairs, acc + c * DP_COLUMN);
      }
    }
    x += turn * DP_S4_GROUP;
    groups -= turn;
  }
}
