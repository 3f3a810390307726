/* roofline_avxvnni.c: how fast this core can multiply bytes; it reads memory as with AVX2. */
#include "../kernels.h"
#include "vnni256.h"

uint64_t dp_peak_avxvnni(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  __m256i sum[SUMS], x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(5);
#pragma GCC unroll 12
  for (int i = 0; i < SUMS; i++) sum[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) DP_VPDPBUSD(sum[i], x, w);
  }
#pragma GCC unroll 12
  for (int i = 0; i < SUMS; i++) *sink ^= _mm256_extract_epi32(sum[i], 0);
  return rounds * SUMS * 32;
}
