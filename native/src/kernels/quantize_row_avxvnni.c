/* quantize_row_avxvnni.c: activations to uint8, shifted by 128 as vpdpbusd wants its first operand. */
#include <string.h>

#include "../kernels.h"
#include "../rounding.h"
#include "row256.h"

enum { LANES = 8 };

static inline __m128i quantize_lanes(__m256 x, __m256 inverse) {
  __m128i words = dp_quantize_lanes(x, inverse);
  return _mm_xor_si128(_mm_packs_epi16(words, words), _mm_set1_epi8((char)0x80));
}

static inline __attribute__((always_inline)) float quantize_row(const void *x, size_t k, uint8_t *xq,
                                                                size_t size, dp_load_lanes *load) {
  /* the last lanes are copied out, so that no load reads past the row */
  size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  char tail[LANES * sizeof(float)] = {0};
  memcpy(tail, (const char *)x + whole * size, (k - whole) * size);

  __m256i max = dp_magnitude_lanes(load(tail, 0));
  for (size_t i = 0; i < whole; i += LANES) max = _mm256_max_epu32(max, dp_magnitude_lanes(load(x, i)));
  uint32_t bits = dp_reduce_max(max);
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, 0x80, padded);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < DP_ABSMAX_FLOOR) absmax = DP_ABSMAX_FLOOR;
  __m256 inverse = _mm256_set1_ps(127.0f / absmax);
  for (size_t i = 0; i < whole; i += LANES) {
    _mm_storel_epi64((__m128i *)(void *)(xq + i), quantize_lanes(load(x, i), inverse));
  }
  uint8_t last[LANES];
  _mm_storel_epi64((__m128i *)(void *)last, quantize_lanes(load(tail, 0), inverse));
  memcpy(xq + whole, last, padded - whole);
  return absmax / 127.0f;
}

float dp_quantize_row_f32_avxvnni(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(float), dp_load_f32);
}

float dp_quantize_row_bf16_avxvnni(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(uint16_t), dp_load_bf16);
}

void dp_load_row_s8_avxvnni(const int8_t *x, size_t k, void *xq) {
  uint8_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = (uint8_t)(x[i] ^ 0x80);
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = 0x80;
}
