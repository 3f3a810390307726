/* neon.h: what the Arm kernels share. */
#ifndef DP_NEON_H
#define DP_NEON_H

#include <arm_neon.h>

#include "../registers.h"
#include "../tiles.h"

enum { DP_VECTORS = DP_COLUMN / 4 }; /* registers of a column's weights of one quad, or of its sums */

/* A quad of activations in every channel's place. */
DP_INLINE int8x16_t dp_broadcast_quad(const int8_t *x) {
  return vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)x));
}

/*
 * The multiplies are written as assembly because gcc 12, given the intrinsics, copies sums about and then
 * spills them.
 *
 *   sdot   sum[c] += sum_j w[c][j] * x[lane][j]   four channels c, quads of k, of which x holds four
 *   smmla  sum[m][c] += sum_j x[m][j] * w[c][j]   two rows m, two channels c, eight k
 */
#define DP_SDOT(sum, w, x, lane) __asm__("sdot %0.4s, %1.16b, %2.4b[%c3]" : "+w"(sum) : "w"(w), "w"(x), "i"(lane))
#define DP_SMMLA(sum, x, w) __asm__("smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x), "w"(w))

/* Keeps loads where they are: gcc would move them up until they need more registers than there are. */
#define DP_LOADS_STAY() __asm__ volatile("" ::: "memory")

#endif
