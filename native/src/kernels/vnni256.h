/* vnni256.h: the multiply, and the correction of its offset, for kernels compiled with AVX-VNNI. */
#ifndef DP_VNNI256_H
#define DP_VNNI256_H

#include <immintrin.h>

#include "../layout.h"

enum { DP_LANES = 8, DP_REGISTERS = DP_COLUMN / DP_LANES }; /* registers of a column's sums */

/*
 * acc[c] += sum_j u[j] * w[c][j], u unsigned. In assembly for the reason given in vnni512.h; {vex} because
 * the assembler would take AVX-512's encoding of the same instruction. Two macros, because clang, which may
 * choose between a register and memory, stores registers only to read them back.
 */
#define DP_VPDPBUSD(acc, u, w) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u), "x"(w))
#define DP_VPDPBUSD_AT(acc, u, at) \
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u), "m"(*(const __m256i *)(const void *)(at)))

static inline __m256i dp_load(const void *at) { return _mm256_load_si256((const __m256i *)at); }

static inline void dp_store(void *at, __m256i lanes) { _mm256_store_si256((__m256i *)at, lanes); }

/* Four unsigned activations in every channel's place. */
static inline __m256i dp_broadcast_quad(const uint8_t *x) {
  return _mm256_set1_epi32(*(const int32_t *)(const void *)x);
}

/* Where sums start: activations are stored as q + 128, so 128 * colSum is taken off beforehand. */
static inline __m256i dp_offset(const int32_t *col_sum) {
  return _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(dp_load(col_sum), 7));
}

#endif
