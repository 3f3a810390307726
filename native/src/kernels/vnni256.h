/* vnni256.h: the multiply, and the correction of its offset, for kernels compiled with AVX-VNNI. */
#ifndef DP_VNNI256_H
#define DP_VNNI256_H

#include "lanes256.h"

/*
 * acc[c] += sum_j u[j] * w[c][j], u unsigned. In assembly for the reason given in vnni512.h; {vex} because
 * the assembler would take AVX-512's encoding of the same instruction. Two macros, because clang, which may
 * choose between a register and memory, stores registers only to read them back.
 */
#define DP_VPDPBUSD(acc, u, w) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u), "x"(w))
#define DP_VPDPBUSD_AT(acc, u, at) \
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u), "m"(*(const __m256i *)(const void *)(at)))

/* Where sums start: activations are stored as q + 128, so 128 * colSum is taken off beforehand. */
static inline __m256i dp_offset(const int32_t *col_sum) {
  return _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(dp_load(col_sum), 7));
}

#endif
