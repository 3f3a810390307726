/*
 * roofline_avx2.c: how fast this core can multiply bytes exactly. vpmaddwd is what limits that: 16 products
 * of 16 bits; vpmaddubsw has 32 of 8 bits, but its sums of 16 bits take a vpmaddwd again.
 */
#include <immintrin.h>

#include "../kernels.h"

/* sum += x . w, pair by pair. Its operands never change: only assembly keeps the multiply in the loop. */
#define MULTIPLY_ADD(sum, x, w)                                       \
  do {                                                                \
    __m256i products;                                                 \
    __asm__("vpmaddwd %2, %3, %1\n\tvpaddd %1, %0, %0"                \
            : "+x"(sum), "=&x"(products)                              \
            : "x"(x), "x"(w));                                        \
  } while (0)

uint64_t dp_peak_avx2(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  __m256i sum[SUMS], x = _mm256_set1_epi16(3), w = _mm256_set1_epi16(5);
#pragma GCC unroll 12
  for (int i = 0; i < SUMS; i++) sum[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) MULTIPLY_ADD(sum[i], x, w);
  }
#pragma GCC unroll 12
  for (int i = 0; i < SUMS; i++) *sink ^= _mm256_extract_epi32(sum[i], 0);
  return rounds * SUMS * 16;
}
