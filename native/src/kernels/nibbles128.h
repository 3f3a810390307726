/*
 * nibbles128.h: weights of four bits in WebAssembly: from the sums of a group to those of a row. They start at
 * -8 * sum x, so that (u - 8) * x is what they add up to: at most 32 * 8 * 127 = 32512, a word.
 */
#ifndef DP_NIBBLES128_H
#define DP_NIBBLES128_H

#include "simd128.h"

enum { DP_S4_TURN = 8 }; /* groups of which activations are made ready at once: 8.5 KiB of a block's weights */

/* Minus the sum of four lanes. */
DP_INLINE int32_t dp_minus_sum(v128_t lanes) {
  const v128_t halves = wasm_i32x4_add(lanes, wasm_i32x4_shuffle(lanes, lanes, 2, 3, 0, 1));
  return -(wasm_i32x4_extract_lane(halves, 0) + wasm_i32x4_extract_lane(halves, 1));
}

/* Eight channels' multipliers as words, and four each as a word below a zero, whatever a sum has above its word. */
DP_INLINE v128_t dp_multipliers(const uint8_t *m) { return wasm_i16x8_load8x8(m); }
DP_INLINE v128_t dp_first_four(v128_t m) { return wasm_u32x4_extend_low_u16x8(m); }
DP_INLINE v128_t dp_last_four(v128_t m) { return wasm_u32x4_extend_high_u16x8(m); }

/* acc += sum * m of four channels */
DP_INLINE void dp_add_products(int32_t *acc, v128_t sum, v128_t m) {
  wasm_v128_store(acc, wasm_i32x4_add(wasm_v128_load(acc), wasm_i32x4_dot_i16x8(sum, m)));
}

#endif
