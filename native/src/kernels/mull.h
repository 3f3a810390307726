/* mull.h: exact byte products on any Armv8, whose instructions do not sum four of them at once. */
#ifndef DP_MULL_H
#define DP_MULL_H

#include "neon.h"

/* In assembly for the reason given in neon.h. */
#define DP_SADALP(sum, products) __asm__("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(products))

/*
 * A pair of registers sums up four channels, two partial sums each: k 0, 1 and k 2, 3. Products are 16 bits wide and are added
 * to 32-bit sums in pairs. Two products summed up in 16 bits first would save an instruction in four, but
 * (-128)^2 twice does not fit; and a Cortex-A72 is no faster so, for it multiplies in one pipe and adds in
 * the other.
 */
/* Four channels' weights times a quad of activations. */
DP_INLINE void dp_multiply_halves(int32x4_t sum[2], int8x16_t x, int8x16_t w) {
  DP_SADALP(sum[0], vmull_s8(vget_low_s8(x), vget_low_s8(w)));
  DP_SADALP(sum[1], vmull_high_s8(x, w));
}

DP_INLINE int32x4_t dp_add_halves(const int32x4_t sum[2]) { return vpaddq_s32(sum[0], sum[1]); }

#endif
