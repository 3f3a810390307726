/* quantize_row_avx2.c: activations to int16, as vpmaddwd wants them: products of bytes cannot saturate. */
#include "row256.h"

static inline void store(void *xq, size_t i, __m128i words) {
  _mm_storeu_si128((__m128i *)(void *)((int16_t *)xq + i), words);
}

static const dp_format format = {.bytes = sizeof(int16_t), .zero = 0, .store = store};

float dp_quantize_row_f32_avx2(const void *x, size_t k, void *xq) {
  return dp_quantize_row(x, k, xq, sizeof(float), dp_load_f32, format);
}

float dp_quantize_row_bf16_avx2(const void *x, size_t k, void *xq) {
  return dp_quantize_row(x, k, xq, sizeof(uint16_t), dp_load_bf16, format);
}

void dp_load_row_s8_avx2(const int8_t *x, size_t k, void *xq) {
  int16_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = x[i];
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = 0;
}
