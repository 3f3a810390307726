/* roofline_avx2.c: how fast this core can read memory and multiply bytes. */
#include "../kernels.h"
#include "madd256.h"

/* See gemv_s8_1x64c4_avx512vnni.c: the roofline prefetches as the kernel does. */
enum { AHEAD = 4096 };

uint64_t dp_read_avx2(const void *x, size_t bytes) {
  __m256i sum[4];
  for (int i = 0; i < 4; i++) sum[i] = _mm256_setzero_si256();
  const char *at = x;
  for (const char *end = at + bytes; at < end; at += 128) {
    _mm_prefetch(at + AHEAD, _MM_HINT_T0);
    _mm_prefetch(at + AHEAD + 64, _MM_HINT_T0);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      sum[i] = _mm256_add_epi64(sum[i], _mm256_load_si256((const __m256i *)(const void *)(at + i * 32)));
    }
  }
  uint64_t words[4];
  _mm256_storeu_si256((__m256i *)(void *)words,
                      _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3])));
  return words[0] + words[1] + words[2] + words[3];
}

uint64_t dp_peak_avx2(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  __m256i sum[SUMS], x = _mm256_set1_epi16(3), w = _mm256_set1_epi16(5);
#pragma GCC unroll 12
  for (int i = 0; i < SUMS; i++) sum[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) {
      sum[i] = dp_madd(sum[i], x, w);
      __asm__("" : "+x"(sum[i])); /* or the compiler folds the rounds */
    }
  }
  for (int i = 0; i < SUMS; i++) *sink ^= _mm256_extract_epi32(sum[i], 0);
  return rounds * SUMS * 16;
}
