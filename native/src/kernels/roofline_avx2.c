/*
 * roofline_avx2.c: how fast this core can multiply bytes exactly. vpmaddwd is what limits that: 16 products
 * of 16 bits; vpmaddubsw has 32 of 8 bits, but its sums of 16 bits take a vpmaddwd again. On Zen 3 additions
 * take some of its turns, the fewest where six multiplies stand together: 1.69 a cycle; by turns 1.61.
 */
#include <immintrin.h>

#include "../kernel_table.h"
#include "../registers.h"

#define MULTIPLY(product) "vpmaddwd %[x], %[w], %[" product "]\n\t"
#define ADD(sum, product) "vpaddd %[" product "], %[" sum "], %[" sum "]\n\t"

/* Six sums += x . w, pair by pair. x and w never change: only assembly keeps the multiplies in the loop. */
#define MULTIPLY_ADD(sum, x, w)                                                                                    \
  do {                                                                                                             \
    __m256i a, b, c, d, e, f;                                                                                      \
    __asm__(MULTIPLY("a") MULTIPLY("b") MULTIPLY("c") MULTIPLY("d") MULTIPLY("e") MULTIPLY("f") ADD("A", "a")      \
                ADD("B", "b") ADD("C", "c") ADD("D", "d") ADD("E", "e") ADD("F", "f")                              \
            : [A] "+x"(sum[0]), [B] "+x"(sum[1]), [C] "+x"(sum[2]), [D] "+x"(sum[3]), [E] "+x"(sum[4]),            \
              [F] "+x"(sum[5]), [a] "=&x"(a), [b] "=&x"(b), [c] "=&x"(c), [d] "=&x"(d), [e] "=&x"(e), [f] "=&x"(f) \
            : [x] "x"(x), [w] "x"(w));                                                                             \
  } while (0)

uint64_t dp_peak_avx2(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 6 };
  __m256i sum[SUMS], x = _mm256_set1_epi16(3), w = _mm256_set1_epi16(5);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    MULTIPLY_ADD(sum, x, w);
    MULTIPLY_ADD(sum, x, w);
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= _mm256_extract_epi32(sum[i], 0);
  return rounds * 2 * SUMS * 16;
}
