/* madd128.h: exact byte products in WebAssembly. */
#ifndef DP_MADD128_H
#define DP_MADD128_H

#include "simd128.h"

/*
 * Widened to 16 bits, products are added in pairs in 32. A register of two channels then holds two partial
 * sums of each: k 0, 1 and k 2, 3. Eight bytes, a multiply and an addition: three instructions on x86.
 */
DP_INLINE v128_t dp_widen(const int8_t *two_channels) { return wasm_i16x8_load8x8(two_channels); }

/* Four 16-bit activations in both channels' places. */
DP_INLINE v128_t dp_broadcast_quad(const int16_t *x) { return wasm_v128_load64_splat(x); }

DP_INLINE v128_t dp_madd(v128_t sum, v128_t x, v128_t w) { return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(x, w)); }

/* Adds the sums of four channels, which two registers hold in halves. */
DP_INLINE void dp_add_folded(int32_t *acc, v128_t low, v128_t high) {
  const v128_t even = wasm_i32x4_shuffle(low, high, 0, 2, 4, 6);
  const v128_t odd = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
  wasm_v128_store(acc, wasm_i32x4_add(wasm_v128_load(acc), wasm_i32x4_add(even, odd)));
}

#endif
