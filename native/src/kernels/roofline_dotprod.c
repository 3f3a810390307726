/* roofline_dotprod.c: how fast this core can multiply bytes by SDOT. */
#include "../kernel_table.h"
#include "neon.h"

uint64_t dp_peak_dotprod(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 24 };
  int32x4_t sum[SUMS];
  const int8x16_t x = vdupq_n_s8(3), w = vdupq_n_s8(5);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = vdupq_n_s32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    DP_UNROLL for (int i = 0; i < SUMS; i++) DP_SDOT(sum[i], w, x, 0);
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= vaddvq_s32(sum[i]);
  return rounds * SUMS * 16;
}
