/* quantize_row_wasm.c: activations to int16, as the exact multiply takes them. */
#include "row128.h"

static inline void store(void *xq, size_t i, v128_t words) { wasm_v128_store((int16_t *)xq + i, words); }

static const dp_format format = {.bytes = sizeof(int16_t), .store = store};

float dp_quantize_row_f32_wasm(const void *x, size_t k, float least, void *xq) {
  return dp_quantize_row(x, k, least, xq, sizeof(float), dp_load_f32, format, 0);
}

float dp_quantize_row_bf16_wasm(const void *x, size_t k, float least, void *xq) {
  return dp_quantize_row(x, k, least, xq, sizeof(uint16_t), dp_load_bf16, format, 0);
}

void dp_load_row_s8_wasm(const int8_t *x, size_t k, void *xq) {
  int16_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = x[i];
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = 0;
}
