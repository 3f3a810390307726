/* epilogue_wasm.c: int32 sums to float32 or bfloat16. */
#include <string.h>

#include "../kernel_table.h"
#include "simd128.h"

enum { LANES = 4 };

DP_INLINE v128_t dequantize(const int32_t *acc, size_t n, v128_t x_scale, const float *w_scale, const float *bias) {
  v128_t y = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_v128_load(acc + n)), x_scale);
  y = wasm_f32x4_mul(y, wasm_v128_load(w_scale + n));
  return bias == NULL ? y : wasm_f32x4_add(y, wasm_v128_load(bias + n));
}

/* Round to nearest, ties to even, as integers; the upper half of every lane is the answer. */
DP_INLINE v128_t round_to_bf16(v128_t value) {
  const v128_t lsb = wasm_v128_and(wasm_u32x4_shr(value, 16), wasm_i32x4_const_splat(1));
  const v128_t rounded = wasm_i32x4_add(wasm_i32x4_add(value, wasm_i32x4_const_splat(0x7fff)), lsb);
  const v128_t nan = wasm_f32x4_ne(value, value);
  return wasm_u32x4_shr(wasm_v128_bitselect(wasm_i32x4_const_splat(0x7fc00000), rounded, nan), 16);
}

void dp_epilogue_f32_wasm(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                          void *y) {
  const v128_t scale = wasm_f32x4_splat(x_scale);
  float *out = y;
  size_t n = 0;
  for (; n + LANES <= count; n += LANES) wasm_v128_store(out + n, dequantize(acc, n, scale, w_scale, bias));
  if (n == count) return;
  float last[LANES];
  wasm_v128_store(last, dequantize(acc, n, scale, w_scale, bias));
  memcpy(out + n, last, (count - n) * sizeof *last);
}

void dp_epilogue_bf16_wasm(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                           void *y) {
  const v128_t scale = wasm_f32x4_splat(x_scale);
  uint16_t *out = y;
  for (size_t n = 0; n < count; n += LANES) {
    const v128_t words = round_to_bf16(dequantize(acc, n, scale, w_scale, bias));
    const v128_t halves = wasm_u16x8_narrow_i32x4(words, words);
    if (n + LANES <= count) {
      wasm_v128_store64_lane(out + n, halves, 0);
    } else {
      uint16_t last[LANES];
      wasm_v128_store64_lane(last, halves, 0);
      memcpy(out + n, last, (count - n) * sizeof *last);
    }
  }
}
