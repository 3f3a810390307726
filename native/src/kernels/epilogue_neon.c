/* epilogue_neon.c: int32 sums to float32 or bfloat16, four channels at a time. */
#include <arm_neon.h>
#include <string.h>

#include "../kernel_table.h"

enum { LANES = 4 };

/* Channels n .. n + 3. */
static inline float32x4_t dequantize(const int32_t *acc, size_t n, float x_scale, const float *w_scale,
                                     const float *bias) {
  float32x4_t y = vmulq_n_f32(vcvtq_f32_s32(vld1q_s32(acc + n)), x_scale);
  y = vmulq_f32(y, vld1q_f32(w_scale + n));
  return bias == NULL ? y : vaddq_f32(y, vld1q_f32(bias + n));
}

/* Round to nearest, ties to even, as integers; the upper half of every lane is the answer. */
static inline uint16x4_t to_bf16(float32x4_t value) {
  const uint32x4_t bits = vreinterpretq_u32_f32(value);
  const uint32x4_t lsb = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), lsb);
  const uint32x4_t number = vceqq_f32(value, value);
  return vshrn_n_u32(vbslq_u32(number, rounded, vdupq_n_u32(0x7fc00000)), 16);
}

void dp_epilogue_f32_neon(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                          void *y) {
  float *to = y;
  size_t n = 0;
  for (; n + LANES <= count; n += LANES) vst1q_f32(to + n, dequantize(acc, n, x_scale, w_scale, bias));
  if (n < count) {
    float lanes[LANES];
    vst1q_f32(lanes, dequantize(acc, n, x_scale, w_scale, bias));
    memcpy(to + n, lanes, (count - n) * sizeof *lanes);
  }
}

void dp_epilogue_bf16_neon(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                           void *y) {
  uint16_t *to = y;
  size_t n = 0;
  for (; n + LANES <= count; n += LANES) {
    vst1_u16(to + n, to_bf16(dequantize(acc, n, x_scale, w_scale, bias)));
  }
  if (n < count) {
    uint16_t lanes[LANES];
    vst1_u16(lanes, to_bf16(dequantize(acc, n, x_scale, w_scale, bias)));
    memcpy(to + n, lanes, (count - n) * sizeof *lanes);
  }
}
