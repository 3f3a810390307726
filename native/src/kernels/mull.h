/* mull.h: exact byte products on any Armv8, whose instructions do not sum four of them at once. */
#ifndef DP_MULL_H
#define DP_MULL_H

#include "neon.h"

/*
 * Four channels' weights times a quad of activations. A pair of registers holds two partial sums of each
 * channel: k 0, 1 and k 2, 3. Products are 16 bits wide, and each is added to a 32-bit sum. To add two of
 * them up in 16 bits first would save an instruction in four, but twice (-128)^2 does not fit; and cores
 * that multiply in one pipe and accumulate in the other, as a Cortex-A72 does, would not be faster.
 * One piece of assembly: on their own, clang multiplies so far ahead that it has to spill sums.
 */
DP_INLINE void dp_multiply_halves(int32x4_t sum[2], int8x16_t x, int8x16_t w) {
  __asm__ volatile(
      "smull v30.8h, %2.8b, %3.8b\n\t"
      "smull2 v31.8h, %2.16b, %3.16b\n\t"
      "sadalp %0.4s, v30.8h\n\t"
      "sadalp %1.4s, v31.8h"
      : "+w"(sum[0]), "+w"(sum[1])
      : "w"(x), "w"(w)
      : "v30", "v31");
}

DP_INLINE int32x4_t dp_add_halves(const int32x4_t sum[2]) { return vpaddq_s32(sum[0], sum[1]); }

#endif
