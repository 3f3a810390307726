/* quantize_row_avx2.c: activations as words, then the same as bytes: see activations256.h. */
#include "activations256.h"
#include "row256.h"

static inline void store(void *xq, size_t i, __m128i words) {
  _mm_storeu_si128((__m128i *)(void *)((int16_t *)xq + i), words);
}

static const dp_format format = {.bytes = sizeof(int16_t), .zero = 0, .store = store};

/* Whole quads of words, none beyond a byte, to bytes. */
static void narrow(const int16_t *words, size_t quads, int8_t *bytes) {
  for (size_t i = 0; i < quads * DP_KR; i++) bytes[i] = (int8_t)words[i];
}

float dp_quantize_row_f32_avx2(const void *x, size_t k, float least, void *xq) {
  int16_t *words = dp_words(xq, dp_quads(k));
  const float scale = dp_quantize_row(x, k, least, words, sizeof(float), dp_load_f32, format);
  narrow(words, dp_quads(k), xq);
  return scale;
}

float dp_quantize_row_bf16_avx2(const void *x, size_t k, float least, void *xq) {
  int16_t *words = dp_words(xq, dp_quads(k));
  const float scale = dp_quantize_row(x, k, least, words, sizeof(uint16_t), dp_load_bf16, format);
  narrow(words, dp_quads(k), xq);
  return scale;
}

void dp_load_row_s8_avx2(const int8_t *x, size_t k, void *xq) {
  int16_t *words = dp_words(xq, dp_quads(k));
  dp_load_row(x, k, words, format);
  narrow(words, dp_quads(k), xq);
}

/* In words, the kernel of many rows multiplies them whole. */
void dp_widen_outliers_avx2(const dp_outliers *outliers, size_t k, void *xq) {
  int16_t *words = dp_words(xq, dp_quads(k));
  for (uint32_t i = 0; i < outliers->count; i++) {
    words[outliers->at[i].k] += (int16_t)(128 * dp_outlier_high(outliers, i));
  }
}
