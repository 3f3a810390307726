/*
 * roofline_neon.c: how fast this core can multiply bytes as any Armv8 does: sixteen products of 16 bits by
 * SMULL and SMULL2, added in pairs to sums of 32 by SADALP. Why not fewer additions: see mull.h.
 */
#include "../kernel_table.h"
#include "neon.h"

/* sum += x . w, pair by pair. Its operands never change: only assembly keeps the multiplies in the loop. */
#define MULTIPLY_ADD(sum, x, w, half, part)                                        \
  do {                                                                             \
    int16x8_t products;                                                            \
    __asm__("smull" half " %1.8h, %2." part ", %3." part "\n\tsadalp %0.4s, %1.8h" \
            : "+w"(sum), "=&w"(products)                                           \
            : "w"(x), "w"(w));                                                     \
  } while (0)

uint64_t dp_peak_neon(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 24 };
  int32x4_t sum[SUMS];
  const int8x16_t x = vdupq_n_s8(3), w = vdupq_n_s8(5);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = vdupq_n_s32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    DP_UNROLL for (int i = 0; i < SUMS; i += 2) {
      MULTIPLY_ADD(sum[i], x, w, "", "8b");
      MULTIPLY_ADD(sum[i + 1], x, w, "2", "16b");
    }
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= vaddvq_s32(sum[i]);
  return rounds * SUMS * 8;
}
