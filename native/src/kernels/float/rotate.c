/*
 * rotate.c: queries and keys normed and turned, keys and values put into their page.
 *
 *   norm  x[i] = (x[i] * r) * w[i], r = 1 / sqrt(sum_i x[i]^2 / D + eps)   https://arxiv.org/abs/1910.07467
 *   rope  y[i] = x[i] * cos[i] - x[i + D/2] * sin[i],                      https://arxiv.org/abs/2104.09864
 *         y[i + D/2] = x[i + D/2] * cos[i] + x[i] * sin[i], i < D/2
 */
#include "../../kernel_table.h"
#include "../../registers.h"
#include "../../rounding.h"
#include "per_isa.h"
#include "sum16.h"

static void norm(float *x, size_t k, const float *w, float eps) {
  const float r = 1.0f / __builtin_sqrtf(dp_sum_of_squares(x, k) / (float)k + eps);
  for (size_t i = 0; i < k; i++) x[i] = (x[i] * r) * w[i];
}

void DP_PER_ISA(dp_rotate)(float *x, uint32_t head_dim, const float *w, float eps, const float *rotation, float scale) {
  const size_t half = head_dim / 2;
  const float *cosine = rotation, *sine = rotation + half;
  if (w != NULL) norm(x, head_dim, w, eps);
  for (size_t i = 0; i < half; i++) {
    const float a = x[i], b = x[i + half];
    x[i] = (a * cosine[i] - b * sine[i]) * scale;
    x[i + half] = (b * cosine[i] + a * sine[i]) * scale;
  }
}

/* What a float times gives its int8; the scale is NaN, and all int8 are 0, where one is not finite. */
static float quantizer(const float *x, size_t k, float *scale) {
  uint32_t bits = 0;
  for (size_t i = 0; i < k; i++) {
    const uint32_t magnitude = dp_magnitude(x[i]);
    bits = magnitude > bits ? magnitude : bits;
  }
  if (bits >= DP_INFINITY_BITS) {
    *scale = dp_float_from_bits(DP_NAN_BITS);
    return 0;
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < DP_ABSMAX_FLOOR) absmax = DP_ABSMAX_FLOOR;
  *scale = absmax / 127.0f;
  return 127.0f / absmax;
}

static inline int8_t quantize(float x, float inverse) {
  if (inverse == 0) return 0;
  const float q = dp_round(x * inverse);
  return (int8_t)(q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q);
}

/*
 * x into runs of elements side by side, `stride` elements from one to the next; returns the scale of int8. Converted
 * first, some at a time: so that is vectorised, which what is scattered is not.
 */
DP_INLINE float store(const float *x, uint32_t head_dim, dp_type type, char *to, size_t run, size_t stride) {
  enum { CONVERTED = 64 };
  float scale = 1;
  const float inverse = type == DP_S8 ? quantizer(x, head_dim, &scale) : 0;
  const size_t size = dp_type_bytes(type);
  for (size_t first = 0; first < head_dim; first += CONVERTED, x += CONVERTED) {
    const size_t count = head_dim - first < CONVERTED ? head_dim - first : CONVERTED;
    union {
      float f32[CONVERTED];
      uint16_t bf16[CONVERTED];
      int8_t s8[CONVERTED];
    } converted;
    for (size_t i = 0; i < count; i++) {
      if (type == DP_F32) converted.f32[i] = x[i];
      else if (type == DP_BF16) converted.bf16[i] = dp_float_to_bf16(x[i]);
      else converted.s8[i] = quantize(x[i], inverse);
    }
    const char *from = (const char *)&converted;
    for (size_t i = 0; i < count; i += run, to += stride * size) memcpy(to, from + i * size, run * size);
  }
  return scale;
}

/* `type` is known to the compiler. */
DP_INLINE void store_typed(const float *k, const float *v, dp_kv_head head, uint32_t position, dp_type type) {
  const size_t size = dp_type_bytes(type), P = dp_kv_packed(type);
  char *key = dp_kv_keys(head) + dp_kv_key_index(head, position) * size;
  char *value = dp_kv_values(head) + dp_kv_value_index(head, position) * size;
  const float key_scale = store(k, head.head_dim, type, key, P, DP_PAGE_GROUP * P);
  const float value_scale = store(v, head.head_dim, type, value, 1, P);
  if (type != DP_S8) return;
  dp_kv_key_scales(head)[position] = key_scale;
  dp_kv_value_scales(head)[position] = value_scale;
}

void DP_PER_ISA(dp_store_kv)(const float *k, const float *v, dp_kv_head head, uint32_t position) {
  switch (head.type) {
    case DP_BF16: store_typed(k, v, head, position, DP_BF16); break;
    case DP_S8: store_typed(k, v, head, position, DP_S8); break;
    default: store_typed(k, v, head, position, DP_F32); break;
  }
}
