/*
 * nibbles_vnni256.h: weights of four bits as factors, for kernels compiled with AVX-VNNI, as nibbles512.h has them: the
 * nibbles are vpdpbusd's unsigned factor, a group's sums start at -8 * sum x, and vpdpwssd takes them as words.
 */
#ifndef DP_NIBBLES_VNNI256_H
#define DP_NIBBLES_VNNI256_H

#include "nibbles256.h"
#include "vnni256.h"

enum { DP_S4_TURN = 8 }; /* groups of which activations are made ready at once: 8.5 KiB of a block's weights */

/* A row's activations of a turn. */
typedef struct dp_signed_row {
  _Alignas(DP_CACHE_LINE) int8_t x[DP_S4_TURN * DP_S4_GROUP];
  int32_t start[DP_S4_TURN]; /* -8 * sum x of each group */
} dp_signed_row;

/* row = x of `groups` groups, which are stored as x + 128. Apart: constants would take registers. */
static __attribute__((noinline)) void dp_sign_row(const uint8_t *x, size_t groups, dp_signed_row *row) {
  for (size_t g = 0; g < groups; g++, x += DP_S4_GROUP) {
    const __m256i stored = _mm256_loadu_si256((const __m256i *)(const void *)x);
    dp_store(row->x + g * DP_S4_GROUP, _mm256_xor_si256(stored, _mm256_set1_epi8((char)0x80)));
    const __m256i eights = _mm256_sad_epu8(stored, _mm256_setzero_si256());
    __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
    sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4e));
    row->start[g] = DP_S4_OFFSET * (128 * DP_S4_GROUP - _mm_cvtsi128_si32(sums));
  }
}

/* acc[c] += sum[c] * m[c], words, each m below a zero, whatever is above a sum's word */
#define DP_VPDPWSSD(acc, sum, m) __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(acc) : "x"(sum), "x"(m))

#endif
