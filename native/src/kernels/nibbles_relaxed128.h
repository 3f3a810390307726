/*
 * nibbles_relaxed128.h: weights of four bits as factors of the relaxed dot product. Nibbles have less than the seven bits
 * of its second operand, so that activations are its first one, signed, whatever the engine makes of an eighth bit.
 */
#ifndef DP_NIBBLES_RELAXED128_H
#define DP_NIBBLES_RELAXED128_H

#include "nibbles128.h"
#include "relaxed128.h"

/* A row's activations of a turn. */
typedef struct dp_signed_row {
  int8_t x[DP_S4_TURN * DP_S4_GROUP];
  int32_t start[DP_S4_TURN]; /* -8 * sum x of each group */
} dp_signed_row;

/* row = x of `groups` groups, which are stored as x + offset. */
DP_INLINE void dp_sign_row(const uint8_t *x, size_t groups, dp_signed_row *row) {
  const v128_t offset = wasm_i8x16_splat((int8_t)dp_offset()), eights = wasm_i8x16_const_splat(DP_S4_OFFSET);
  for (size_t g = 0; g < groups; g++, x += DP_S4_GROUP) {
    v128_t sums = wasm_i32x4_const_splat(0);
    for (int i = 0; i < DP_S4_GROUP; i += 16) {
      const v128_t signed_x = wasm_i8x16_sub(wasm_v128_load(x + i), offset);
      wasm_v128_store(row->x + g * DP_S4_GROUP + i, signed_x);
      sums = dp_dot(sums, eights, signed_x);
    }
    row->start[g] = dp_minus_sum(sums);
  }
}

/* Low nibbles of 16 bytes, and high ones: V8 has to mask what it shifts as bytes, too, but makes the mask anew. */
DP_INLINE v128_t dp_low_nibbles(v128_t bytes) { return wasm_v128_and(bytes, wasm_i8x16_const_splat(15)); }
DP_INLINE v128_t dp_high_nibbles(v128_t bytes) { return dp_low_nibbles(wasm_u16x8_shr(bytes, 4)); }

#endif
