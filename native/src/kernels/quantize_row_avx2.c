/* quantize_row_avx2.c: activations to int16, as vpmaddwd wants them: products of bytes cannot saturate. */
#include <immintrin.h>
#include <string.h>

#include "../kernels.h"
#include "../rounding.h"

enum { LANES = 8 };

typedef __m256 load_fn(const void *x, size_t i);

static inline __m256 load_f32(const void *x, size_t i) { return _mm256_loadu_ps((const float *)x + i); }

static inline __m256 load_bf16(const void *x, size_t i) {
  __m128i bits = _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)x + i));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

static inline __m256i magnitude(__m256 x) {
  return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
}

static inline __m128i quantize_lanes(__m256 x, __m256 inverse) {
  const __m256i limit = _mm256_set1_epi32(127);
  __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(x, inverse));
  q = _mm256_max_epi32(_mm256_min_epi32(q, limit), _mm256_sub_epi32(_mm256_setzero_si256(), limit));
  return _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
}

static inline uint32_t reduce_max(__m256i lanes) {
  __m128i half = _mm_max_epu32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0x4e));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0xb1));
  return (uint32_t)_mm_cvtsi128_si32(half);
}

static inline __attribute__((always_inline)) float quantize_row(const void *x, size_t k, int16_t *xq,
                                                                size_t size, load_fn *load) {
  /* the last lanes are copied out, so that no load reads past the row */
  size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  char tail[LANES * sizeof(float)] = {0};
  memcpy(tail, (const char *)x + whole * size, (k - whole) * size);

  __m256i max = magnitude(load(tail, 0));
  for (size_t i = 0; i < whole; i += LANES) max = _mm256_max_epu32(max, magnitude(load(x, i)));
  uint32_t bits = reduce_max(max);
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, 0, padded * sizeof *xq);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < DP_ABSMAX_FLOOR) absmax = DP_ABSMAX_FLOOR;
  __m256 inverse = _mm256_set1_ps(127.0f / absmax);
  for (size_t i = 0; i < whole; i += LANES) {
    _mm_storeu_si128((__m128i *)(void *)(xq + i), quantize_lanes(load(x, i), inverse));
  }
  int16_t last[LANES];
  _mm_storeu_si128((__m128i *)(void *)last, quantize_lanes(load(tail, 0), inverse));
  memcpy(xq + whole, last, (padded - whole) * sizeof *xq);
  return absmax / 127.0f;
}

float dp_quantize_row_f32_avx2(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(float), load_f32);
}

float dp_quantize_row_bf16_avx2(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(uint16_t), load_bf16);
}

void dp_load_row_s8_avx2(const int8_t *x, size_t k, void *xq) {
  int16_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = x[i];
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = 0;
}
