/*
 * nibbles_madd256.h: weights of four bits as factors, for kernels compiled with AVX2. The nibbles are vpmaddubsw's
 * unsigned factor: a group adds up in words, modulo 2^16. Its sums start at -8 * sum x, so that (u - 8) * x is what they
 * add up to: at most 16 * 8 * 127 = 16256 in each of a channel's two words, of which vpmaddwd takes products with m.
 */
#ifndef DP_NIBBLES_MADD256_H
#define DP_NIBBLES_MADD256_H

#include "nibbles256.h"

/* -8 * (x[0] + x[1]) and -8 * (x[2] + x[3]) of the quads of a group, in two words. */
static inline int32_t dp_group_start(const int8_t *x) {
  const __m256i quads = _mm256_loadu_si256((const __m256i *)(const void *)x);
  const __m256i eights = _mm256_maddubs_epi16(_mm256_set1_epi8(DP_S4_OFFSET), quads);
  __m128i sums = _mm_add_epi16(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
  sums = _mm_add_epi16(sums, _mm_shuffle_epi32(sums, 0x4e));
  sums = _mm_add_epi16(sums, _mm_shuffle_epi32(sums, 0xb1));
  return _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), sums));
}

/* Eight channels' multipliers, each in two words. */
static inline __m256i dp_multipliers(const uint8_t *m) {
  const __m256i words = dp_multiplier_words(m);
  return _mm256_or_si256(words, _mm256_slli_epi32(words, 16));
}

#endif
