/*
 * nibbles_madd128.h: weights of four bits as factors of the dot product of words. A word has four nibbles, of two k and
 * of the same two in the pair's other quad; each is a word as soon as it stands alone, and a channel's two words are a
 * lane. So activations are put into this order.
 */
#ifndef DP_NIBBLES_MADD128_H
#define DP_NIBBLES_MADD128_H

#include "nibbles128.h"

/* A row's activations of a turn. */
typedef struct dp_ordered_row {
  v128_t x[DP_S4_TURN][DP_S4_PAIRS]; /* of a pair's quads: k 0 and 2, 1 and 3 of the first, then of the second */
  int32_t start[DP_S4_TURN];         /* -8 * sum x of each group */
} dp_ordered_row;

DP_INLINE void dp_order_row(const int16_t *x, size_t groups, dp_ordered_row *row) {
  for (size_t g = 0; g < groups; g++) {
    v128_t sums = wasm_i32x4_const_splat(0);
    for (int i = 0; i < DP_S4_PAIRS; i++, x += 2 * DP_KR) {
      const v128_t eight = wasm_v128_load(x);
      row->x[g][i] = wasm_i16x8_shuffle(eight, eight, 0, 2, 1, 3, 4, 6, 5, 7);
      sums = wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(eight, wasm_i16x8_const_splat(DP_S4_OFFSET)));
    }
    row->start[g] = dp_minus_sum(sums);
  }
}

/*
 * sum[c] += x * w of four channels: of a pair's first quad, and of its second; x: as dp_ordered_row has it. One after the
 * other for all sums, or V8 needs more registers than there are.
 */
DP_INLINE v128_t dp_add_first(v128_t sum, v128_t pair, v128_t x) {
  const v128_t fifteens = wasm_i16x8_const_splat(15);
  const v128_t even = wasm_v128_and(pair, fifteens), odd = wasm_v128_and(wasm_u16x8_shr(pair, 8), fifteens);
  sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(even, wasm_i32x4_shuffle(x, x, 0, 0, 0, 0)));
  return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(odd, wasm_i32x4_shuffle(x, x, 1, 1, 1, 1)));
}

DP_INLINE v128_t dp_add_second(v128_t sum, v128_t pair, v128_t x) {
  const v128_t fifteens = wasm_i16x8_const_splat(15);
  const v128_t even = wasm_v128_and(wasm_u16x8_shr(pair, 4), fifteens), odd = wasm_u16x8_shr(pair, 12);
  sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(even, wasm_i32x4_shuffle(x, x, 2, 2, 2, 2)));
  return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(odd, wasm_i32x4_shuffle(x, x, 3, 3, 3, 3)));
}

#endif
