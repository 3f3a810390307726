/* roofline_avx512vnni.c: how fast this core can read memory and multiply bytes. */
#include <string.h>

#include "../kernels.h"
#include "vnni512.h"

/* See gemv_s8_1x64c4_avx512vnni.c: the roofline prefetches as the kernel does. */
enum { AHEAD = 4096 };

uint64_t dp_read_avx512vnni(const void *x, size_t bytes) {
  __m512i sum[4];
  for (int i = 0; i < 4; i++) sum[i] = _mm512_setzero_si512();
  const char *at = x;
  for (const char *end = at + bytes; at < end; at += 256) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      _mm_prefetch(at + AHEAD + i * 64, _MM_HINT_T0);
      sum[i] = _mm512_add_epi64(sum[i], _mm512_load_si512(at + i * 64));
    }
  }
  /* added up as unsigned words, which may wrap */
  uint64_t words[8], total = 0;
  _mm512_storeu_si512(
      words, _mm512_add_epi64(_mm512_add_epi64(sum[0], sum[1]), _mm512_add_epi64(sum[2], sum[3])));
  for (int i = 0; i < 8; i++) total += words[i];
  return total;
}

uint64_t dp_peak_avx512vnni(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 24 };
  __m512i sum[SUMS], x = _mm512_set1_epi8(3), w = _mm512_set1_epi8(5);
#pragma GCC unroll 24
  for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++) DP_VPDPBUSD(sum[i], x, w);
  }
#pragma GCC unroll 24
  for (int i = 0; i < SUMS; i++) *sink ^= _mm512_reduce_add_epi32(sum[i]);
  return rounds * SUMS * 64;
}
