/* quantize_row_wasmrelaxed.c: activations to bytes, shifted as the engine's multiply wants them. */
#include <string.h>

#include "../kernels.h"
#include "relaxed128.h"
#include "row128.h"

enum { LANES = 8 };

/* In the low eight bytes. */
DP_INLINE v128_t quantize_lanes(const void *x, size_t i, v128_t inverse, v128_t offset, dp_load_lanes *load) {
  const v128_t words = wasm_i16x8_add(dp_quantize_eight(x, i, inverse, load), offset);
  return wasm_i8x16_shuffle(words, words, 0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14);
}

DP_INLINE float quantize_row(const void *x, size_t k, uint8_t *xq, size_t size, dp_load_lanes *load) {
  /* the last lanes are copied out, so that no load reads past the row */
  const size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  char tail[LANES * sizeof(float)] = {0};
  memcpy(tail, (const char *)x + whole * size, (k - whole) * size);

  const uint32_t last_bits = dp_absmax_bits(tail, LANES, load);
  uint32_t bits = dp_absmax_bits(x, whole, load);
  if (last_bits > bits) bits = last_bits;
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, dp_offset(), padded);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < DP_ABSMAX_FLOOR) absmax = DP_ABSMAX_FLOOR;
  const v128_t inverse = wasm_f32x4_splat(127.0f / absmax), offset = wasm_i16x8_splat((int16_t)dp_offset());
  for (size_t i = 0; i < whole; i += LANES) {
    wasm_v128_store64_lane(xq + i, quantize_lanes(x, i, inverse, offset, load), 0);
  }
  uint8_t last[LANES];
  wasm_v128_store64_lane(last, quantize_lanes(tail, 0, inverse, offset, load), 0);
  memcpy(xq + whole, last, padded - whole);
  return absmax / 127.0f;
}

float dp_quantize_row_f32_wasmrelaxed(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(float), dp_load_f32);
}

float dp_quantize_row_bf16_wasmrelaxed(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(uint16_t), dp_load_bf16);
}

void dp_load_row_s8_wasmrelaxed(const int8_t *x, size_t k, void *xq) {
  const int32_t offset = dp_offset();
  uint8_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = (uint8_t)(x[i] + offset);
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = (uint8_t)offset;
}
