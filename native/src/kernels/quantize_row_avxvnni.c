/* quantize_row_avxvnni.c: activations to uint8, shifted by 128 as vpdpbusd wants its first operand. */
#include "row256.h"

static inline void store(void *xq, size_t i, __m128i words) {
  const __m128i bytes = _mm_xor_si128(_mm_packs_epi16(words, words), _mm_set1_epi8((char)0x80));
  _mm_storel_epi64((__m128i *)(void *)((uint8_t *)xq + i), bytes);
}

static const dp_format format = {.bytes = sizeof(uint8_t), .zero = 0x80, .store = store};

float dp_quantize_row_f32_avxvnni(const void *x, size_t k, float least, void *xq) {
  return dp_quantize_row(x, k, least, xq, sizeof(float), dp_load_f32, format);
}

float dp_quantize_row_bf16_avxvnni(const void *x, size_t k, float least, void *xq) {
  return dp_quantize_row(x, k, least, xq, sizeof(uint16_t), dp_load_bf16, format);
}

void dp_load_row_s8_avxvnni(const int8_t *x, size_t k, void *xq) { dp_load_row(x, k, xq, format); }
