/*
 * widen.h: elements of a cache as float32, as many as a register holds. Instructions by name where the
 * compiler would take more than it needs.
 */
#ifndef DP_WIDEN_H
#define DP_WIDEN_H

#include <string.h>

#include "../../kv_page.h"
#include "../../rounding.h"

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

/* Pairs of bfloat16: the first of each, and the second. */
static inline void dp_widen_bf16(const char *at, dp_vector wide[2]) {
  typedef uint32_t words __attribute__((vector_size(4 * DP_WIDTH)));
  words pairs;
  memcpy(&pairs, at, sizeof pairs);
  wide[0] = (dp_vector)(pairs << 16);
  wide[1] = (dp_vector)(pairs & 0xffff0000);
}

static inline dp_vector dp_widen_s8(const char *at) {
#if defined(__AVX512BW__)
  return (dp_vector)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)at)));
#elif defined(__AVX2__)
  return (dp_vector)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)at)));
#else
  int8_t bytes[DP_WIDTH];
  memcpy(bytes, at, sizeof bytes);
  return (dp_vector){bytes[0], bytes[1], bytes[2], bytes[3]};
#endif
}

/* As many vectors as dp_kv_packed says. */
static inline void dp_widen_vectors(const char *at, dp_type type, dp_vector *wide) {
  if (type == DP_BF16) {
    dp_widen_bf16(at, wide);
  } else {
    wide[0] = type == DP_S8 ? dp_widen_s8(at) : dp_load_vector(at);
  }
}

/* One element. */
static inline float dp_widen(const char *at, dp_type type) {
  if (type == DP_S8) return *(const int8_t *)at;
  if (type == DP_BF16) return dp_bf16_to_float(*(const uint16_t *)at);
  return *(const float *)at;
}

#endif
