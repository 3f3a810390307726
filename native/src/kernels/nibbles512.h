/*
 * nibbles512.h: weights of four bits as factors, for kernels compiled with AVX-512 VNNI. The nibbles are vpdpbusd's
 * unsigned factor, activations its signed one. The sums of a group start at -8 * sum x, so that (u - 8) * x is what
 * they add up to: at most 32 * 8 * 127 = 32512, which vpdpwssd takes as a word.
 */
#ifndef DP_NIBBLES512_H
#define DP_NIBBLES512_H

#include <string.h>

#include "vnni512.h"

enum { DP_S4_TURN = 8 }; /* groups of which activations are made ready at once: 8.5 KiB of a block's weights */

/* A row's activations of a turn. */
typedef struct dp_signed_row {
  _Alignas(DP_CACHE_LINE) int8_t x[DP_S4_TURN * DP_S4_GROUP];
  int32_t start[DP_S4_TURN]; /* -8 * sum x of each group */
} dp_signed_row;

/* row = x of `groups` groups, which are stored as x + 128. */
DP_INLINE void dp_sign_row(const uint8_t *x, size_t groups, dp_signed_row *row) {
  uint8_t last[sizeof row->x];
  if (groups < DP_S4_TURN) x = memcpy(last, x, groups * DP_S4_GROUP);
  __m512i eights[4]; /* sums of eight activations: of a group in each half */
  DP_UNROLL for (int i = 0; i < 4; i++) {
    const __m512i stored = _mm512_loadu_si512(x + i * 64);
    eights[i] = _mm512_sad_epu8(stored, _mm512_setzero_si512());
    _mm512_store_si512(row->x + i * 64, _mm512_xor_si512(stored, _mm512_set1_epi8((char)0x80)));
  }
  __m512i halves[2];
  DP_UNROLL for (int i = 0; i < 2; i++) {
    const __m512i a = eights[2 * i], b = eights[2 * i + 1];
    halves[i] = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  }
  __m512i sums = _mm512_add_epi64(_mm512_shuffle_i64x2(halves[0], halves[1], 0x88),
                                  _mm512_shuffle_i64x2(halves[0], halves[1], 0xdd));
  sums = _mm512_slli_epi64(_mm512_permutex_epi64(sums, 0xd8), 3);
  const __m512i shifted = _mm512_set1_epi64(DP_S4_OFFSET * 128 * DP_S4_GROUP);
  _mm256_storeu_si256((__m256i *)(void *)row->start, _mm512_cvtepi64_epi32(_mm512_sub_epi64(shifted, sums)));
}

/* Low nibbles of 64 bytes, and high ones. */
DP_INLINE __m512i dp_low_nibbles(__m512i bytes) { return _mm512_and_si512(bytes, _mm512_set1_epi8(15)); }
DP_INLINE __m512i dp_high_nibbles(__m512i bytes) { return dp_low_nibbles(_mm512_srli_epi16(bytes, 4)); }

/* A column's multipliers as words, each below a zero, whatever is above a sum's word. */
DP_INLINE __m512i dp_multipliers(const uint8_t *m) {
  const __m512i lanes = _mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)(const void *)m));
  return _mm512_and_si512(lanes, _mm512_set1_epi32(0xffff));
}

/* acc[c] += sum[c] * m[c], words */
#define DP_VPDPWSSD(acc, sum, m) __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(sum), "v"(m))

#endif
