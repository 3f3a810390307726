/* quantize_row_avx512vnni.c: activations to uint8, shifted by 128 as vpdpbusd wants its first operand. */
#include <immintrin.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "../rounding.h"

enum { LANES = 16 };

typedef __m512 load_fn(const void *x, size_t i, __mmask16 lanes);

static inline __m512 load_f32(const void *x, size_t i, __mmask16 lanes) {
  return _mm512_maskz_loadu_ps(lanes, (const float *)x + i);
}

static inline __m512 load_bf16(const void *x, size_t i, __mmask16 lanes) {
  __m256i bits = _mm256_maskz_loadu_epi16(lanes, (const uint16_t *)x + i);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

static inline __mmask16 first_lanes(size_t count) {
  return count >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1);
}

static inline __m512i magnitude(__m512 x) {
  return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}

static inline void quantize_lanes(__m512 x, __m512 inverse, uint8_t *out, __mmask16 lanes) {
  const __m512i limit = _mm512_set1_epi32(127);
  __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
  q = _mm512_max_epi32(_mm512_min_epi32(q, limit), _mm512_sub_epi32(_mm512_setzero_si512(), limit));
  __m128i bytes = _mm_xor_si128(_mm512_cvtepi32_epi8(q), _mm_set1_epi8((char)0x80));
  _mm_mask_storeu_epi8(out, lanes, bytes);
}

DP_INLINE float quantize_row(const void *x, size_t k, float least, uint8_t *xq, load_fn *load) {
  __m512i max0 = _mm512_setzero_si512(), max1 = max0;
  size_t i = 0;
  for (; i + 2 * LANES <= k; i += 2 * LANES) {
    max0 = _mm512_max_epu32(max0, magnitude(load(x, i, 0xffff)));
    max1 = _mm512_max_epu32(max1, magnitude(load(x, i + LANES, 0xffff)));
  }
  for (; i < k; i += LANES) {
    max0 = _mm512_max_epu32(max0, magnitude(load(x, i, first_lanes(k - i))));
  }
  uint32_t bits = _mm512_reduce_max_epu32(_mm512_max_epu32(max0, max1));

  size_t padded = dp_quads(k) * DP_KR;
  if (bits >= DP_INFINITY_BITS) {
    for (i = 0; i < padded; i++) xq[i] = 0x80;
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < least) absmax = least;
  __m512 inverse = _mm512_set1_ps(127.0f / absmax);
  for (i = 0; i + LANES <= k; i += LANES) quantize_lanes(load(x, i, 0xffff), inverse, xq + i, 0xffff);
  if (i < k) {
    quantize_lanes(load(x, i, first_lanes(k - i)), inverse, xq + i, first_lanes(padded - i));
  }
  return absmax / 127.0f;
}

float dp_quantize_row_f32_avx512vnni(const void *x, size_t k, float least, void *xq) {
  return quantize_row(x, k, least, xq, load_f32);
}

float dp_quantize_row_bf16_avx512vnni(const void *x, size_t k, float least, void *xq) {
  return quantize_row(x, k, least, xq, load_bf16);
}

void dp_load_row_s8_avx512vnni(const int8_t *x, size_t k, void *xq) {
  uint8_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = (uint8_t)(x[i] ^ 0x80);
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = 0x80;
}
