/* row128.h: quantising a row, eight lanes at a time, whatever it is stored as. */
#ifndef DP_ROW128_H
#define DP_ROW128_H

#include <string.h>

#include "../kernel_table.h"
#include "../rounding.h"
#include "simd128.h"

enum { LANES = 8 };

/* How activations are stored. */
typedef struct dp_format {
  size_t bytes;                                    /* of one */
  void (*store)(void *xq, size_t i, v128_t words); /* words, int16 each, as activations i .. i + 7 */
} dp_format;

/* Elements i .. i + 3 as float32. */
typedef v128_t dp_load_lanes(const void *x, size_t i);

DP_INLINE v128_t dp_load_f32(const void *x, size_t i) { return wasm_v128_load((const float *)x + i); }

DP_INLINE v128_t dp_load_bf16(const void *x, size_t i) {
  return wasm_i32x4_shl(wasm_u32x4_load16x4((const uint16_t *)x + i), 16);
}

/* Bits of the largest magnitude among `whole` elements, a multiple of eight. */
DP_INLINE uint32_t dp_absmax_bits(const void *x, size_t whole, dp_load_lanes *load) {
  v128_t low = wasm_i32x4_splat(0), high = low;
  for (size_t i = 0; i < whole; i += LANES) {
    low = wasm_i32x4_max(low, wasm_f32x4_abs(load(x, i)));
    high = wasm_i32x4_max(high, wasm_f32x4_abs(load(x, i + 4)));
  }
  v128_t max = wasm_i32x4_max(low, high);
  max = wasm_i32x4_max(max, wasm_i32x4_shuffle(max, max, 2, 3, 0, 1));
  max = wasm_i32x4_max(max, wasm_i32x4_shuffle(max, max, 1, 0, 3, 2));
  return (uint32_t)wasm_i32x4_extract_lane(max, 0);
}

/* rne(x * inverse): dp_round, whose sum also has the integer in its low bits. */
DP_INLINE v128_t dp_quantize_four(v128_t x, v128_t inverse) {
  const v128_t shifted = wasm_f32x4_add(wasm_f32x4_mul(x, inverse), wasm_f32x4_const_splat(12582912.0f));
  return wasm_i32x4_sub(shifted, wasm_i32x4_const_splat(0x4b400000));
}

/* clamp(rne(x * inverse), -127, 127) of elements i .. i + 7, int16 each */
DP_INLINE v128_t dp_quantize_eight(const void *x, size_t i, v128_t inverse, dp_load_lanes *load) {
  const v128_t q =
      wasm_i16x8_narrow_i32x4(dp_quantize_four(load(x, i), inverse), dp_quantize_four(load(x, i + 4), inverse));
  return wasm_i16x8_max(wasm_i16x8_min(q, wasm_i16x8_const_splat(127)), wasm_i16x8_const_splat(-127));
}

/* See dp_quantize_row_fn; `size`, `load` and `format` are known to the compiler, `zero` is a byte of a zero. */
DP_INLINE float dp_quantize_row(const void *x, size_t k, float least, void *xq, size_t size, dp_load_lanes *load,
                                const dp_format format, int zero) {
  /* the last lanes are copied out, so that no load reads past the row */
  const size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  char tail[LANES * sizeof(float)] = {0};
  memcpy(tail, (const char *)x + whole * size, (k - whole) * size);

  const uint32_t last_bits = dp_absmax_bits(tail, LANES, load);
  uint32_t bits = dp_absmax_bits(x, whole, load);
  if (last_bits > bits) bits = last_bits;
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, zero, padded * format.bytes);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < least) absmax = least;
  const v128_t inverse = wasm_f32x4_splat(127.0f / absmax);
  for (size_t i = 0; i < whole; i += LANES) format.store(xq, i, dp_quantize_eight(x, i, inverse, load));
  char last[LANES * sizeof(int16_t)];
  format.store(last, 0, dp_quantize_eight(tail, 0, inverse, load));
  memcpy((char *)xq + whole * format.bytes, last, (padded - whole) * format.bytes);
  return absmax / 127.0f;
}

#endif
