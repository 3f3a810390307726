/* roofline_neon.c: how fast this core can read memory, and multiply bytes as any Armv8 does. */
#include "../kernels.h"
#include "mull.h"

/* See gemv_s8_1x64c4_avx512vnni.c: the roofline prefetches as the kernel does. */
enum { AHEAD = 4096 };

uint64_t dp_read_neon(const void *x, size_t bytes) {
  uint64x2_t sum[4];
  for (int i = 0; i < 4; i++) sum[i] = vdupq_n_u64(0);
  const char *at = x;
  for (const char *end = at + bytes; at < end; at += 64) {
    __builtin_prefetch(at + AHEAD);
    DP_UNROLL for (int i = 0; i < 4; i++) {
      sum[i] = vaddq_u64(sum[i], vreinterpretq_u64_u8(vld1q_u8((const uint8_t *)at + i * 16)));
    }
  }
  return vaddvq_u64(vaddq_u64(vaddq_u64(sum[0], sum[1]), vaddq_u64(sum[2], sum[3])));
}

uint64_t dp_peak_neon(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  int32x4_t sum[SUMS][2];
  int8x16_t x = vdupq_n_s8(3), w = vdupq_n_s8(5);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i][0] = vdupq_n_s32(i), sum[i][1] = vdupq_n_s32(-i);
  for (uint64_t r = 0; r < rounds; r++) {
    DP_UNROLL for (int i = 0; i < SUMS; i++) {
      __asm__("" : "+w"(x)); /* or the compiler multiplies only once */
      dp_multiply_halves(sum[i], x, w);
    }
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= vaddvq_s32(dp_add_halves(sum[i]));
  return rounds * SUMS * 16;
}
