/* vnni512.h: the multiply, and the correction of its offset, for kernels compiled with AVX-512 VNNI. */
#ifndef DP_VNNI512_H
#define DP_VNNI512_H

#include <immintrin.h>

#include "../registers.h"
#include "../tiles.h"

/*
 * acc[c] += sum_j u[j] * w[c][j], u unsigned. Written as assembly because gcc 12, given the intrinsic,
 * copies accumulators about and then spills them; the constraint pins each to its register.
 */
#define DP_VPDPBUSD(acc, u, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(w))

/* Four unsigned activations in every channel's place. */
static inline __m512i dp_broadcast_quad(const uint8_t *x) {
  return _mm512_set1_epi32(*(const int32_t *)(const void *)x);
}

/* Where sums start: activations are stored as q + 128, so 128 * colSum is taken off beforehand. */
static inline __m512i dp_offset(const int32_t *col_sum) {
  __m512i shifted = _mm512_slli_epi32(_mm512_load_si512(col_sum), 7);
  return _mm512_sub_epi32(_mm512_setzero_si512(), shifted);
}

#endif
