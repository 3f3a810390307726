/* sign256.h: exact products of bytes as they lie in memory, for kernels compiled with AVX2. */
#ifndef DP_SIGN256_H
#define DP_SIGN256_H

#include "lanes256.h"

/*
 * sum[c] += sum_j x[j] * w[c][j] as |w| * (x with the sign of w), -127 <= x <= 127: vpmaddubsw wants an unsigned
 * factor, and adds two products in 16 bits, which cannot overflow: 2 * 128 * 127 = 32512. ones: of 16 bits.
 * In assembly for the reason given in vnni512.h, and with the load, which clang would do so early that it spills.
 */
#define DP_DOT_AT(sum, x, at, ones)                                      \
  do {                                                                   \
    __m256i products_, weights_;                                         \
    __asm__(                                                             \
        "vmovdqa %5, %2\n\t"                                             \
        "vpsignb %2, %3, %1\n\t"                                         \
        "vpabsb %2, %2\n\t"                                              \
        "vpmaddubsw %1, %2, %1\n\t"                                      \
        "vpmaddwd %4, %1, %1\n\t"                                        \
        "vpaddd %1, %0, %0"                                              \
        : "+x"(sum), "=&x"(products_), "=&x"(weights_)                   \
        : "x"(x), "x"(ones), "m"(*(const __m256i *)(const void *)(at))); \
  } while (0)

/* The same for a column, with |w| given; x is used up. Two products are always under way. */
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
