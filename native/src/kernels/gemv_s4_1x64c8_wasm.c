/*
 * gemv_s4_1x64c8_wasm.c: one row times up to a block of four bits, a column at a time: four registers of sums, four of
 * weights, three of activations. Columns take turns in each group, so that memory is read in order.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_madd128.h"

enum { REGISTERS = DP_COLUMN / 4 };

/* acc += a group's sums of a column, times their multipliers */
DP_INLINE void add_column(const v128_t *x, int32_t start, const uint8_t *m, const uint8_t *pair, int32_t *acc) {
  v128_t sum[REGISTERS];
  DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = wasm_i32x4_splat(start);
  DP_ROLLED for (const v128_t *end = x + DP_S4_PAIRS; x < end; x++, pair += DP_QUAD_BYTES) {
    v128_t line[REGISTERS];
    DP_UNROLL for (int r = 0; r < REGISTERS; r++) line[r] = wasm_v128_load(pair + r * 16);
    DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = dp_add_first(sum[r], line[r], *x);
    DP_UNROLL for (int r = 0; r < REGISTERS; r++) sum[r] = dp_add_second(sum[r], line[r], *x);
  }
  DP_UNROLL for (int r = 0; r < REGISTERS; r += 2) {
    const v128_t eight = dp_multipliers(m + r * 4);
    dp_add_products(acc + r * 4, sum[r], dp_first_four(eight));
    dp_add_products(acc + r * 4 + 4, sum[r + 1], dp_last_four(eight));
  }
}

void dp_gemv_s4_1x64c8_wasm(const void *xq, const uint8_t *w, size_t groups, uint32_t first, uint32_t columns,
                            int32_t *acc) {
  const int16_t *x = xq;
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  while (groups > 0) {
    const size_t turn = groups < DP_S4_TURN ? groups : DP_S4_TURN;
    dp_ordered_row row;
    dp_order_row(x, turn, &row);
    for (size_t g = 0; g < turn; g++, w += DP_S4_GROUP_BYTES) {
      for (uint32_t c = 0; c < columns; c++) {
        const uint8_t *m = w + (first + c) * DP_COLUMN, *pairs = w + DP_NR + (first + c) * DP_COLUMN * DP_KR;
        add_column(row.x[g], row.start[g], m, pairs, acc + c * DP_COLUMN);
      }
    }
    x += turn * DP_S4_GROUP;
    groups -= turn;
  }
}
