/* nibbles256.h: weights of four bits, of which bytes become two, for kernels of 256-bit registers. */
#ifndef DP_NIBBLES256_H
#define DP_NIBBLES256_H

#include "lanes256.h"

/* Low nibbles of 32 bytes, and high ones. */
static inline __m256i dp_low_nibbles(__m256i bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }
static inline __m256i dp_high_nibbles(__m256i bytes) { return dp_low_nibbles(_mm256_srli_epi16(bytes, 4)); }

/* Eight channels' multipliers as words, each below a zero. */
static inline __m256i dp_multiplier_words(const uint8_t *m) {
  const __m256i lanes = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)m));
  return _mm256_srli_epi32(_mm256_slli_epi32(lanes, 16), 16);
}

#endif
