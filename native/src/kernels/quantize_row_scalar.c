/* quantize_row_scalar.c: activations to int8, the same steps as the TypeScript oracle. */
#include <string.h>

#include "../kernel_table.h"
#include "../rounding.h"

typedef float load_fn(const void *x, size_t i);

static inline float load_f32(const void *x, size_t i) {
  float value;
  memcpy(&value, (const char *)x + i * sizeof value, sizeof value);
  return value;
}

static inline float load_bf16(const void *x, size_t i) {
  uint16_t bits;
  memcpy(&bits, (const char *)x + i * sizeof bits, sizeof bits);
  return dp_bf16_to_float(bits);
}

static inline float quantize_row(const void *x, size_t k, float least, int8_t *xq, load_fn *load) {
  uint32_t bits = 0;
  for (size_t i = 0; i < k; i++) {
    uint32_t magnitude = dp_magnitude(load(x, i));
    if (magnitude > bits) bits = magnitude;
  }
  memset(xq + k, 0, dp_quads(k) * DP_KR - k);
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, 0, k);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < least) absmax = least;
  float inverse = 127.0f / absmax;
  for (size_t i = 0; i < k; i++) {
    float q = dp_round(load(x, i) * inverse);
    xq[i] = (int8_t)(q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q);
  }
  return absmax / 127.0f;
}

float dp_quantize_row_f32_scalar(const void *x, size_t k, float least, void *xq) {
  return quantize_row(x, k, least, xq, load_f32);
}

float dp_quantize_row_bf16_scalar(const void *x, size_t k, float least, void *xq) {
  return quantize_row(x, k, least, xq, load_bf16);
}

void dp_load_row_s8_scalar(const int8_t *x, size_t k, void *xq) {
  memcpy(xq, x, k);
  memset((int8_t *)xq + k, 0, dp_quads(k) * DP_KR - k);
}
