#include "oracle.h"

#include <math.h>
#include <string.h>

#include "../src/tiles.h"

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

float oracle_load(const void *values, dp_type type, size_t i) {
  if (type == DP_BF16) {
    uint16_t half;
    memcpy(&half, (const char *)values + i * sizeof half, sizeof half);
    return from_bits((uint32_t)half << 16);
  }
  float value;
  memcpy(&value, (const char *)values + i * sizeof value, sizeof value);
  return value;
}

/* The nearer of the two bfloat16 beside `value`, or the even one: compares distances. */
static uint16_t narrow(float value) {
  if (isnan(value)) return 0x7fc0;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint16_t toward_zero = (uint16_t)(bits >> 16);
  if (isinf(value)) return toward_zero;
  const uint32_t left = bits & 0xffff;
  if (left > 0x8000 || (left == 0x8000 && toward_zero % 2 == 1)) return toward_zero + 1;
  return toward_zero;
}

void oracle_store(void *values, dp_type type, size_t i, float value) {
  if (type == DP_BF16) {
    const uint16_t half = narrow(value);
    memcpy((char *)values + i * sizeof half, &half, sizeof half);
  } else {
    memcpy((char *)values + i * sizeof value, &value, sizeof value);
  }
}

int32_t oracle_round(float value) {
  int32_t below = (int32_t)value;
  if ((double)below > (double)value) below--;
  const double left = (double)value - below;
  return left > 0.5 || (left == 0.5 && below % 2 != 0) ? below + 1 : below;
}

static float absmax_of(const void *values, dp_type type, size_t first, size_t k) {
  float absmax = 0;
  for (size_t i = first; i < first + k; i++) {
    const float magnitude = fabsf(oracle_load(values, type, i));
    if (!isfinite(magnitude)) return NAN;
    if (magnitude > absmax) absmax = magnitude;
  }
  return absmax > 1e-8f ? absmax : 1e-8f;
}

static int32_t clamp(int32_t value, int32_t least, int32_t most) {
  return value < least ? least : value > most ? most : value;
}

/*
 * The largest |x| below `bound`, or among those equal to `bound` when `skip` of them are left out; 0 if none is left.
 */
static float next_largest(const void *x, dp_type type, size_t k, float bound, uint32_t skip) {
  float next = 0;
  for (size_t i = 0; i < k; i++) {
    const float magnitude = fabsf(oracle_load(x, type, i));
    if (magnitude == bound && skip > 0) skip--;
    else if (magnitude <= bound && magnitude > next) next = magnitude;
  }
  return next;
}

/* a, where x is finite. */
static float largest_of_rest(const void *x, dp_type type, size_t k, uint32_t outliers) {
  float largest[DP_MAX_OUTLIERS + 1];
  for (uint32_t i = 0, same = 0; i <= outliers; i++) {
    largest[i] = next_largest(x, type, k, i == 0 ? INFINITY : largest[i - 1], same);
    same = i > 0 && largest[i] == largest[i - 1] ? same + 1 : 1;
  }
  float a = largest[outliers];
  if (outliers > 0 && a < largest[0] / 128) a = largest[0] / 128;
  return a > 1e-8f ? a : 1e-8f;
}

float oracle_quantize_row_with(const void *x, dp_type type, size_t k, uint32_t outliers, int32_t *q) {
  const float absmax = absmax_of(x, type, 0, k);
  const float a = isnan(absmax) ? NAN : largest_of_rest(x, type, k, outliers);
  const float inverse = 127.0f / a;
  for (size_t i = 0; i < k; i++) {
    const float value = oracle_load(x, type, i);
    const int32_t most = fabsf(value) > a ? 127 * 128 : 127;
    q[i] = isnan(a) ? 0 : clamp(oracle_round(value * inverse), -most, most);
  }
  return a / 127.0f;
}

float oracle_quantize_row(const void *x, dp_type type, size_t k, int8_t *q) {
  const float absmax = absmax_of(x, type, 0, k);
  const float inverse = 127.0f / absmax;
  for (size_t i = 0; i < k; i++) {
    const int32_t value = isnan(absmax) ? 0 : oracle_round(oracle_load(x, type, i) * inverse);
    q[i] = (int8_t)clamp(value, -127, 127);
  }
  return absmax / 127.0f;
}

float oracle_quantize_channel(const void *w, dp_type type, size_t first, size_t k, int8_t *q) {
  const float scale = absmax_of(w, type, first, k) / 127.0f;
  if (isnan(scale)) return scale;
  for (size_t i = 0; i < k; i++) {
    q[i] = (int8_t)clamp(oracle_round(oracle_load(w, type, first + i) / scale), -128, 127);
  }
  return scale;
}

int32_t oracle_dot(const int8_t *a, const int8_t *b, size_t k) {
  int64_t sum = 0;
  for (size_t i = 0; i < k; i++) sum += (int64_t)a[i] * b[i];
  return (int32_t)sum;
}

int32_t oracle_dot_with(const int32_t *a, const int8_t *b, size_t k) {
  int64_t sum = 0;
  for (size_t i = 0; i < k; i++) sum += (int64_t)a[i] * b[i];
  return (int32_t)sum;
}

float oracle_dequantize(int32_t acc, float x_scale, float w_scale, const float *bias) {
  const float scaled = (float)acc * x_scale;
  const float y = scaled * w_scale;
  return bias == NULL ? y : y + *bias;
}

float oracle_float_dot(const void *x, dp_type type, const int8_t *w, size_t k) {
  float total = 0;
  for (size_t first = 0; first < k; first += 256) {
    float sum[4] = {0};
    for (size_t i = first; i < k && i < first + 256; i++) {
      const float product = oracle_load(x, type, i) * (float)w[i];
      sum[i % 4] = sum[i % 4] + product;
    }
    const float even = sum[0] + sum[1], odd = sum[2] + sum[3];
    total = total + (even + odd);
  }
  return total;
}

float oracle_dequantize_float(float acc, float w_scale, const float *bias) {
  const float y = acc * w_scale;
  return bias == NULL ? y : y + *bias;
}

/* (e^(x / 1024))^1024: no libm here. */
static double exponential(double x) {
  const double r = x / 1024;
  double power = 1 + r * (1 + r / 2 * (1 + r / 3 * (1 + r / 4 * (1 + r / 5))));
  for (int i = 0; i < 10; i++) power *= power;
  return power;
}

double oracle_activate(dp_activation activation, double g) {
  switch (activation) {
    case DP_ACT_SILU: return g / (1 + exponential(-g));
    case DP_ACT_GELU: {
      const double t = 2 * 0.7978845608028654 * (g + 0.044715 * g * g * g);
      return g / (1 + exponential(-t));
    }
    case DP_ACT_RELU2: return g > 0 ? g * g : 0;
    default: return g;
  }
}

float oracle_sum16(const float *values, size_t count) {
  float sum[16] = {0};
  for (size_t i = 0; i < count; i++) sum[i % 16] = sum[i % 16] + values[i];
  for (int width = 8; width > 0; width /= 2) {
    for (int l = 0; l < width; l++) sum[l] = sum[l] + sum[l + width];
  }
  return sum[0];
}

size_t oracle_tile_index(size_t n, size_t k, size_t in_features) {
  const size_t quads = (in_features + 3) / 4;
  return ((n / 64 * quads + k / 4) * 64 + n % 64) * 4 + k % 4;
}

void oracle_pack(const int8_t *w, size_t n, size_t k, int8_t *tiles, int32_t *col_sum) {
  memset(tiles, 0, dp_blocks(n) * dp_block_bytes(k));
  memset(col_sum, 0, dp_blocks(n) * DP_NR * sizeof *col_sum);
  for (size_t c = 0; c < n; c++) {
    for (size_t i = 0; i < k; i++) {
      tiles[oracle_tile_index(c, i, k)] = w[c * k + i];
      col_sum[c] += w[c * k + i];
    }
  }
}

static uint8_t nibble_of(const uint8_t *nibbles, size_t n, size_t k, size_t in_features) {
  const uint8_t byte = nibbles[n * ((in_features + 1) / 2) + k / 2];
  return k % 2 == 0 ? byte % 16 : byte / 16;
}

void oracle_decode_s4(const uint8_t *nibbles, const int8_t *multipliers, size_t n, size_t k, int8_t *w) {
  for (size_t c = 0; c < n; c++) {
    for (size_t i = 0; i < k; i++) {
      w[c * k + i] = (int8_t)((nibble_of(nibbles, c, i, k) - 8) * multipliers[c * ((k + 31) / 32) + i / 32]);
    }
  }
}

void oracle_pack_s4(const uint8_t *nibbles, const int8_t *multipliers, size_t n, size_t k, uint8_t *tiles,
                    int32_t *col_sum) {
  const size_t groups = (k + 31) / 32;
  memset(col_sum, 0, (n + 63) / 64 * 64 * sizeof *col_sum);
  for (size_t c = 0; c < (n + 63) / 64 * 64; c++) {
    for (size_t i = 0; i < groups * 32; i++) {
      uint8_t *group = tiles + (c / 64 * groups + i / 32) * 1088;
      const bool inside = c < n && i < k;
      const uint8_t u = inside ? nibble_of(nibbles, c, i, k) : 8;
      const int8_t m = c < n ? multipliers[c * groups + i / 32] : 0;
      memcpy(group + c % 64, &m, 1);
      uint8_t *byte = group + 64 + i % 32 / 8 * 256 + c % 64 * 4 + i % 4;
      *byte = i % 8 < 4 ? (*byte & 0xf0) | u : (*byte & 0x0f) | u << 4;
      col_sum[c] += (u - 8) * m;
    }
  }
}

bool same_float(float a, float b) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  return memcmp(&a, &b, sizeof a) == 0;
}

bool same_floats(const float *a, const float *b, size_t count) {
  size_t i = 0;
  while (i < count && same_float(a[i], b[i])) i++;
  return i == count;
}

bool same_element(const void *a, const void *b, dp_type type, size_t i) {
  const size_t size = type == DP_BF16 ? 2 : type == DP_S8 ? 1 : 4;
  if (type == DP_F32) return same_float(oracle_load(a, type, i), oracle_load(b, type, i));
  return memcmp((const char *)a + i * size, (const char *)b + i * size, size) == 0;
}
