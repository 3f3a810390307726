/* roofline_avx512vnni.c: how fast this core can multiply bytes by vpdpbusd of 512 bits. */
#include "../kernel_table.h"
#include "vnni512.h"

uint64_t dp_peak_avx512vnni(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 24 };
  __m512i sum[SUMS], x = _mm512_set1_epi8(3), w = _mm512_set1_epi8(5);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    DP_UNROLL for (int i = 0; i < SUMS; i++) DP_VPDPBUSD(sum[i], x, w);
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= _mm512_reduce_add_epi32(sum[i]);
  return rounds * SUMS * 64;
}
