/*
 * widen.h: elements of a cache as float32, as many as a register holds. Instructions by name where the
 * compiler would take more than it needs.
 */
#ifndef DP_WIDEN_H
#define DP_WIDEN_H

#include <string.h>

#include "../../include/dotpool.h"
#include "../rounding.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512BW__)
#define DP_WIDTH 16
#elif defined(__AVX2__)
#define DP_WIDTH 8
#else
#define DP_WIDTH 4
#endif

typedef float dp_vector __attribute__((vector_size(4 * DP_WIDTH)));

static inline dp_vector dp_load_vector(const char *at) {
  dp_vector vector;
  memcpy(&vector, at, sizeof vector);
  return vector;
}

#if defined(__AVX512BW__)

static inline dp_vector dp_widen_bf16(const char *at) {
  const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at));
  return (dp_vector)_mm512_slli_epi32(words, 16);
}

static inline dp_vector dp_widen_s8(const char *at) {
  return (dp_vector)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)at)));
}

#elif defined(__AVX2__)

static inline dp_vector dp_widen_bf16(const char *at) {
  const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at));
  return (dp_vector)_mm256_slli_epi32(words, 16);
}

static inline dp_vector dp_widen_s8(const char *at) {
  return (dp_vector)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)at)));
}

#else

static inline dp_vector dp_widen_bf16(const char *at) {
  typedef uint16_t words __attribute__((vector_size(2 * DP_WIDTH)));
  typedef uint32_t bits __attribute__((vector_size(4 * DP_WIDTH)));
  words narrow;
  memcpy(&narrow, at, sizeof narrow);
  return (dp_vector)(__builtin_convertvector(narrow, bits) << 16);
}

static inline dp_vector dp_widen_s8(const char *at) {
  int8_t bytes[DP_WIDTH];
  memcpy(bytes, at, sizeof bytes);
  return (dp_vector){bytes[0], bytes[1], bytes[2], bytes[3]};
}

#endif

/* One element. */
static inline float dp_widen(const char *at, dp_type type) {
  if (type == DP_S8) return *(const int8_t *)at;
  if (type == DP_BF16) return dp_bf16_to_float(*(const uint16_t *)at);
  return *(const float *)at;
}

#endif
