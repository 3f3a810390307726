/* roofline_avxvnni.c: how fast this core can multiply bytes by vpdpbusd of 256 bits. */
#include <immintrin.h>

#include "../kernel_table.h"
#include "../registers.h"

/* As DP_VPDPBUSD of vnni256.h, but from registers alone: clang takes an operand that may lie in memory there. */
#define MULTIPLY_ADD(sum, x, w) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w))

uint64_t dp_peak_avxvnni(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  __m256i sum[SUMS], x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(5);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    DP_UNROLL for (int i = 0; i < SUMS; i++) MULTIPLY_ADD(sum[i], x, w);
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= _mm256_extract_epi32(sum[i], 0);
  return rounds * SUMS * 32;
}
