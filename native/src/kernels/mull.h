/* mull.h: exact byte products on any Armv8, whose instructions do not sum four of them at once. */
#ifndef DP_MULL_H
#define DP_MULL_H

#include "neon.h"

/* In assembly for the reason given in neon.h. */
#define DP_SADALP(sum, products) __asm__("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(products))

/*
 * Four channels' weights times a quad of activations. A pair of registers holds two partial sums of each
 * channel: k 0, 1 and k 2, 3. Products are 16 bits wide, and each is added to a 32-bit sum. To add two of
 * them up in 16 bits first would save an instruction in four, but twice (-128)^2 does not fit; and cores
 * that multiply in one pipe and accumulate in the other, as a Cortex-A72 does, would not be faster.
 */
DP_INLINE void dp_multiply_halves(int32x4_t sum[2], int8x16_t x, int8x16_t w) {
  DP_SADALP(sum[0], vmull_s8(vget_low_s8(x), vget_low_s8(w)));
  int16x8_t high; /* clang would move both upper halves down first */
  __asm__("smull2 %0.8h, %1.16b, %2.16b" : "=w"(high) : "w"(x), "w"(w));
  DP_SADALP(sum[1], high);
}

DP_INLINE int32x4_t dp_add_halves(const int32x4_t sum[2]) { return vpaddq_s32(sum[0], sum[1]); }

#endif
