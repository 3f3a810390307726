/* sign256.h: exact products of bytes as they lie in memory, for kernels compiled with AVX2. */
#ifndef DP_SIGN256_H
#define DP_SIGN256_H

#include "lanes256.h"

/*
 * sum[c] += sum_j x[j] * w[c][j] as |w| * (x with the sign of w), -127 <= x <= 127: vpmaddubsw wants an unsigned
 * factor, and adds two products in 16 bits, which cannot overflow: 2 * 128 * 127 = 32512.
 */
static inline __m256i dp_dot(__m256i sum, __m256i x, __m256i w) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/*
 * The same for a column, with |w| and 16-bit ones given; x is used up. In assembly for the reason given in
 * vnni512.h, and so that two products are always under way.
 */
#define DP_DOT_COLUMN(sum0, sum1, x, w0, w1, magnitude0, magnitude1, ones) \
  do {                                                                     \
    __m256i products_;                                                     \
    __asm__(                                                               \
        "vpsignb %4, %2, %3\n\t"                                           \
        "vpsignb %5, %2, %2\n\t"                                           \
        "vpmaddubsw %3, %6, %3\n\t"                                        \
        "vpmaddubsw %2, %7, %2\n\t"                                        \
        "vpmaddwd %8, %3, %3\n\t"                                          \
        "vpmaddwd %8, %2, %2\n\t"                                          \
        "vpaddd %3, %0, %0\n\t"                                            \
        "vpaddd %2, %1, %1"                                                \
        : "+x"(sum0), "+x"(sum1), "+x"(x), "=&x"(products_)                \
        : "x"(w0), "x"(w1), "x"(magnitude0), "x"(magnitude1), "x"(ones));  \
  } while (0)

#endif
