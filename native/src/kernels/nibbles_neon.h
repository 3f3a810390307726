/*
 * nibbles_neon.h: weights of four bits as factors, for kernels compiled with SDOT. Nibbles are bytes of 0 to 15, which
 * SDOT takes as signed ones. The sums of a group start at -8 * sum x, so that (u - 8) * x is what they add up to: at
 * most 32 * 8 * 127 = 32512, a word.
 */
#ifndef DP_NIBBLES_NEON_H
#define DP_NIBBLES_NEON_H

#include "neon.h"

/* -8 * the sum of a group's activations, in every lane. */
DP_INLINE int32x4_t dp_group_start(const int8_t *x) {
  const int8x16_t eights = vdupq_n_s8(-DP_S4_OFFSET);
  int32x4_t sums = vdupq_n_s32(0);
  DP_SDOT(sums, vld1q_s8(x), eights, 0);
  DP_SDOT(sums, vld1q_s8(x + 16), eights, 0);
  return vdupq_n_s32(vaddvq_s32(sums));
}

/* Low nibbles of 16 bytes, and high ones. */
DP_INLINE int8x16_t dp_low_nibbles(uint8x16_t bytes) { return vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))); }
DP_INLINE int8x16_t dp_high_nibbles(uint8x16_t bytes) { return vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4)); }

#endif
