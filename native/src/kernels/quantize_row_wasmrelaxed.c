/* quantize_row_wasmrelaxed.c: activations to bytes, shifted as the engine's multiply wants them. */
#include "relaxed128.h"
#include "row128.h"

static inline void store(void *xq, size_t i, v128_t words) {
  const v128_t shifted = wasm_i16x8_add(words, wasm_i16x8_splat((int16_t)dp_offset()));
  const v128_t bytes = wasm_i8x16_shuffle(shifted, shifted, 0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14);
  wasm_v128_store64_lane((uint8_t *)xq + i, bytes, 0);
}

static const dp_format format = {.bytes = sizeof(uint8_t), .store = store};

float dp_quantize_row_f32_wasmrelaxed(const void *x, size_t k, float least, void *xq) {
  return dp_quantize_row(x, k, least, xq, sizeof(float), dp_load_f32, format, dp_offset());
}

float dp_quantize_row_bf16_wasmrelaxed(const void *x, size_t k, float least, void *xq) {
  return dp_quantize_row(x, k, least, xq, sizeof(uint16_t), dp_load_bf16, format, dp_offset());
}

void dp_load_row_s8_wasmrelaxed(const int8_t *x, size_t k, void *xq) {
  const int32_t offset = dp_offset();
  uint8_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = (uint8_t)(x[i] + offset);
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = (uint8_t)offset;
}
