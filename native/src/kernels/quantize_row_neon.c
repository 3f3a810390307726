/* quantize_row_neon.c: activations to int8: Arm multiplies signed bytes, so nothing is shifted. */
#include <arm_neon.h>
#include <string.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "../rounding.h"

enum { LANES = 16 };

/* Elements i .. i + 3 as float32. */
typedef float32x4_t load_fn(const void *x, size_t i);

static inline float32x4_t load_f32(const void *x, size_t i) { return vld1q_f32((const float *)x + i); }

static inline float32x4_t load_bf16(const void *x, size_t i) {
  return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16((const uint16_t *)x + i), 16));
}

static inline uint32x4_t magnitude(float32x4_t x) {
  return vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x7fffffff));
}

static inline uint32x4_t magnitude_of_lanes(const void *x, size_t i, load_fn *load) {
  const uint32x4_t low = vmaxq_u32(magnitude(load(x, i)), magnitude(load(x, i + 4)));
  const uint32x4_t high = vmaxq_u32(magnitude(load(x, i + 8)), magnitude(load(x, i + 12)));
  return vmaxq_u32(low, high);
}

/* |x * inverse| is 127 and an ulp or two at most: narrowing keeps the value. */
static inline int16x4_t quantize_four(float32x4_t x, float32x4_t inverse) {
  return vmovn_s32(vcvtnq_s32_f32(vmulq_f32(x, inverse)));
}

static inline int8x8_t quantize_eight(const void *x, size_t i, float32x4_t inverse, load_fn *load) {
  const int16x8_t limit = vdupq_n_s16(127);
  int16x8_t q = vcombine_s16(quantize_four(load(x, i), inverse), quantize_four(load(x, i + 4), inverse));
  return vmovn_s16(vmaxq_s16(vminq_s16(q, limit), vnegq_s16(limit)));
}

static inline int8x16_t quantize_lanes(const void *x, size_t i, float32x4_t inverse, load_fn *load) {
  return vcombine_s8(quantize_eight(x, i, inverse, load), quantize_eight(x, i + 8, inverse, load));
}

DP_INLINE float quantize_row(const void *x, size_t k, float least, int8_t *xq, size_t size, load_fn *load) {
  /* the last lanes are copied out, so that no load reads past the row */
  const size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  char tail[LANES * sizeof(float)] = {0};
  memcpy(tail, (const char *)x + whole * size, (k - whole) * size);

  uint32x4_t max = magnitude_of_lanes(tail, 0, load);
  for (size_t i = 0; i < whole; i += LANES) max = vmaxq_u32(max, magnitude_of_lanes(x, i, load));
  const uint32_t bits = vmaxvq_u32(max);
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, 0, padded);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < least) absmax = least;
  const float32x4_t inverse = vdupq_n_f32(127.0f / absmax);
  for (size_t i = 0; i < whole; i += LANES) vst1q_s8(xq + i, quantize_lanes(x, i, inverse, load));
  int8_t last[LANES];
  vst1q_s8(last, quantize_lanes(tail, 0, inverse, load));
  memcpy(xq + whole, last, padded - whole);
  return absmax / 127.0f;
}

float dp_quantize_row_f32_neon(const void *x, size_t k, float least, void *xq) {
  return quantize_row(x, k, least, xq, sizeof(float), load_f32);
}

float dp_quantize_row_bf16_neon(const void *x, size_t k, float least, void *xq) {
  return quantize_row(x, k, least, xq, sizeof(uint16_t), load_bf16);
}

void dp_load_row_s8_neon(const int8_t *x, size_t k, void *xq) {
  memcpy(xq, x, k);
  memset((int8_t *)xq + k, 0, dp_quads(k) * DP_KR - k);
}
