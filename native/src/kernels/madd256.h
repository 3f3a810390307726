/* madd256.h: exact byte products on AVX2, for kernels compiled with it. */
#ifndef DP_MADD256_H
#define DP_MADD256_H

#include <immintrin.h>

#include "../layout.h"

/*
 * vpmaddubsw would add two byte products in 16 bits and saturate. Widened to 16 bits first, vpmaddwd
 * adds them in 32. A register of four channels then holds two partial sums of each: k 0, 1 and k 2, 3.
 */
static inline __m256i dp_widen(const int8_t *four_channels) {
  return _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)four_channels));
}

/* Four 16-bit activations in every channel's place. */
static inline __m256i dp_broadcast_quad(const int16_t *x) {
  return _mm256_set1_epi64x(*(const int64_t *)(const void *)x);
}

static inline __m256i dp_madd(__m256i sum, __m256i x, __m256i w) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
}

/* The sums of eight channels, in order, of two registers with two partial sums a channel. */
static inline __m256i dp_fold(__m256i low, __m256i high) {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), _MM_SHUFFLE(3, 1, 2, 0));
}

#endif
