/* row256.h: quantising a row, eight lanes at a time, whatever it is stored as. */
#ifndef DP_ROW256_H
#define DP_ROW256_H

#include <immintrin.h>
#include <string.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "../rounding.h"

enum { LANES = 8 };

typedef __m256 dp_load_lanes(const void *x, size_t i);

/* How activations are stored. */
typedef struct dp_format {
  size_t bytes;                                     /* of one */
  int zero;                                         /* each byte of a zero */
  void (*store)(void *xq, size_t i, __m128i words); /* words, int16 each, as activations i .. i + 7 */
} dp_format;

static inline __m256 dp_load_f32(const void *x, size_t i) { return _mm256_loadu_ps((const float *)x + i); }

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

/* See dp_quantize_row_fn; `size`, `load` and `format` are known to the compiler. */
DP_INLINE float dp_quantize_row(const void *x, size_t k, float least, void *xq, size_t size, dp_load_lanes *load,
                                const dp_format format) {
  /* the last lanes are copied out, so that no load reads past the row */
  const size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  char tail[LANES * sizeof(float)] = {0};
  memcpy(tail, (const char *)x + whole * size, (k - whole) * size);

  __m256i max = dp_magnitude_lanes(load(tail, 0));
  for (size_t i = 0; i < whole; i += LANES) max = _mm256_max_epu32(max, dp_magnitude_lanes(load(x, i)));
  const uint32_t bits = dp_reduce_max(max);
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, format.zero, padded * format.bytes);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < least) absmax = least;
  const __m256 inverse = _mm256_set1_ps(127.0f / absmax);
  for (size_t i = 0; i < whole; i += LANES) format.store(xq, i, dp_quantize_lanes(load(x, i), inverse));
  char last[LANES * sizeof(int16_t)];
  format.store(last, 0, dp_quantize_lanes(load(tail, 0), inverse));
  memcpy((char *)xq + whole * format.bytes, last, (padded - whole) * format.bytes);
  return absmax / 127.0f;
}

/* See dp_load_row_fn; `format` is known to the compiler. */
DP_INLINE void dp_load_row(const int8_t *x, size_t k, void *xq, const dp_format format) {
  const size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  int8_t tail[sizeof(__m128i)] = {0};
  memcpy(tail, x + whole, k - whole);
  for (size_t i = 0; i < whole; i += LANES) {
    format.store(xq, i, _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(x + i))));
  }
  char last[LANES * sizeof(int16_t)];
  format.store(last, 0, _mm_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)tail)));
  memcpy((char *)xq + whole * format.bytes, last, (padded - whole) * format.bytes);
}

#endif
