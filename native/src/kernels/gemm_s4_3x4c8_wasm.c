/*
 * gemm_s4_3x4c8_wasm.c: up to three rows times a block of four bits, four channels at a time: three registers of sums, two
 * of weights. The channels take turns as in gemm_s8_4x4c4_wasm.c. For more rows a block is decoded sooner than its
 * nibbles are taken apart for each panel.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_madd128.h"

enum { MR = 3, CHANNELS = 4 };

/* acc += group g of a turn; w: the group. */
DP_INLINE void add_group(const dp_ordered_row *row, size_t g, const int rows, const uint8_t *w, int c, int32_t *acc) {
  v128_t sum[MR];
  DP_UNROLL for (int i = 0; i < rows; i++) sum[i] = wasm_i32x4_splat(row[i].start[g]);
  const v128_t *x = row->x[g];
  const uint8_t *pair = w + DP_NR + c * DP_KR;
  DP_ROLLED for (const v128_t *end = x + DP_S4_PAIRS; x < end; x++, pair += DP_QUAD_BYTES) {
    const v128_t four = wasm_v128_load(pair);
    v128_t xi[MR];
    DP_UNROLL for (int i = 0; i < rows; i++) xi[i] = x[i * (sizeof *row / sizeof *x)];
    DP_UNROLL for (int i = 0; i < rows; i++) sum[i] = dp_add_first(sum[i], four, xi[i]);
    DP_UNROLL for (int i = 0; i < rows; i++) sum[i] = dp_add_second(sum[i], four, xi[i]);
  }
  const v128_t m = dp_first_four(wasm_i16x8_load8x8(w + c));
  DP_UNROLL for (int i = 0; i < rows; i++) dp_add_products(acc + i * DP_NR, sum[i], m);
}

DP_INLINE void turn(const dp_ordered_row *row, const int rows, const uint8_t *w, size_t groups, int32_t *acc) {
  for (int c = 0; c < DP_NR; c += CHANNELS) {
    for (size_t g = 0; g < groups; g++) add_group(row, g, rows, w + g * DP_S4_GROUP_BYTES, c, acc + c);
  }
}

#define CALL(n) turn(row, n, w, count, acc)

void dp_gemm_s4_3x4c8_wasm(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups,
                           int32_t *acc) {
  const int16_t *x = xq;
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t g = 0; g < groups; g += DP_S4_TURN, x += DP_S4_TURN * DP_S4_GROUP) {
    const size_t count = groups - g < DP_S4_TURN ? groups - g : DP_S4_TURN;
    dp_ordered_row row[MR];
    for (uint32_t m = 0; m < rows; m++) dp_order_row(x + m * (stride / sizeof *x), count, &row[m]);
    DP_SWITCH_3(rows, CALL)
    w += count * DP_S4_GROUP_BYTES;
  }
}
