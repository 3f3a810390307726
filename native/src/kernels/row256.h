/* row256.h: what quantising a row takes, eight lanes at a time, whatever it is stored as. */
#ifndef DP_ROW256_H
#define DP_ROW256_H

#include <immintrin.h>

typedef __m256 dp_load_lanes(const void *x, size_t i);

static inline __m256 dp_load_f32(const void *x, size_t i) {
  return _mm256_loadu_ps((const float *)x + i);
}

static inline __m256 dp_load_bf16(const void *x, size_t i) {
  __m128i bits = _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)x + i));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

static inline __m256i dp_magnitude_lanes(__m256 x) {
  return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
}

static inline uint32_t dp_reduce_max(__m256i lanes) {
  __m128i half = _mm_max_epu32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0x4e));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0xb1));
  return (uint32_t)_mm_cvtsi128_si32(half);
}

/* clamp(rne(x * inverse), -127, 127), int16 each */
static inline __m128i dp_quantize_lanes(__m256 x, __m256 inverse) {
  const __m256i limit = _mm256_set1_epi32(127);
  __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(x, inverse));
  q = _mm256_max_epi32(_mm256_min_epi32(q, limit), _mm256_sub_epi32(_mm256_setzero_si256(), limit));
  return _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
}

#endif
