#include "attention_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/kernels/float/exp.h"
#include "oracle.h"

/* Sixteen running sums, added in halves. */
static float sum16(const float *values, size_t count) {
  float lane[16] = {0};
  for (size_t i = 0; i < count; i++) lane[i % 16] = lane[i % 16] + values[i];
  for (int width = 8; width >= 1; width /= 2) {
    for (int l = 0; l < width; l++) lane[l] = lane[l] + lane[l + width];
  }
  return lane[0];
}

void oracle_rotate(float *x, uint32_t head_dim, const float *norm, float eps, const float *rotation, float scale) {
  float squares[256] = {0}, normed[256];
  for (uint32_t i = 0; i < head_dim; i++) squares[i] = x[i] * x[i];
  const float mean = sum16(squares, head_dim) / (float)head_dim;
  const float r = 1.0f / sqrtf(mean + eps);
  for (uint32_t i = 0; i < head_dim; i++) {
    const float unit = x[i] * r;
    normed[i] = norm == NULL ? x[i] : unit * norm[i];
  }
  const uint32_t half = head_dim / 2;
  for (uint32_t i = 0; i < head_dim; i++) {
    const float c = rotation[i % half], s = rotation[half + i % half];
    const float along = normed[i] * c, across = normed[(i + half) % head_dim] * s;
    const float turned = i < half ? along - across : along + across;
    x[i] = turned * scale;
  }
}

static size_t element_bytes(const dp_attention *a) {
  return a->cache_type == DP_F32 ? 4 : a->cache_type == DP_BF16 ? 2 : 1;
}

static size_t head_bytes(const dp_attention *a) {
  const size_t elements = 2 * 64 * (size_t)a->head_dim;
  return elements * element_bytes(a) + (a->cache_type == DP_S8 ? 2 * 64 * 4 : 0);
}

size_t oracle_page_bytes(const dp_attention *a) { return a->kv_heads * head_bytes(a); }

static size_t packed(const dp_attention *a) { return a->cache_type == DP_BF16 ? 2 : 1; }

static size_t key_at(const dp_attention *a, uint32_t position, uint32_t d) {
  const size_t P = packed(a);
  return position / 16 * (a->head_dim * 16) + d / P * (16 * P) + position % 16 * P + d % P;
}

static size_t value_at(const dp_attention *a, uint32_t position, uint32_t d) {
  const size_t P = packed(a), values = 64 * (size_t)a->head_dim;
  return values + position / P * (a->head_dim * P) + d * P + position % P;
}

/* The scale of a key (0) or value (1). */
static size_t scale_at(const dp_attention *a, int which, uint32_t position) {
  return 2 * 64 * (size_t)a->head_dim + (which * 64 + position) * sizeof(float);
}

void oracle_store_kv(const dp_attention *a, char *page, uint32_t kv_head, uint32_t position, const float *k,
                     const float *v) {
  char *head = page + a->page_offset + kv_head * head_bytes(a);
  int8_t q[2][256];
  if (a->cache_type == DP_S8) {
    const float scales[2] = {oracle_quantize_row(k, DP_F32, a->head_dim, q[0]),
                             oracle_quantize_row(v, DP_F32, a->head_dim, q[1])};
    memcpy(head + scale_at(a, 0, position), &scales[0], sizeof(float));
    memcpy(head + scale_at(a, 1, position), &scales[1], sizeof(float));
  }
  for (uint32_t d = 0; d < a->head_dim; d++) {
    if (a->cache_type == DP_S8) {
      head[key_at(a, position, d)] = q[0][d];
      head[value_at(a, position, d)] = q[1][d];
    } else {
      oracle_store(head, (dp_type)a->cache_type, key_at(a, position, d), k[d]);
      oracle_store(head, (dp_type)a->cache_type, value_at(a, position, d), v[d]);
    }
  }
}

static float element(const dp_attention *a, const char *head, size_t index) {
  return a->cache_type == DP_S8 ? ((const int8_t *)head)[index] : oracle_load(head, (dp_type)a->cache_type, index);
}

typedef struct part {
  float maximum, sum, values[256];
} part;

/* The partial result of positions [first, last) of one page. */
static part attend_page(const dp_attention *a, const char *head, const float *q, uint32_t first, uint32_t last) {
  part part = {.maximum = -INFINITY};
  float s[64], p[64] = {0};
  const bool scaled = a->cache_type == DP_S8;
  for (uint32_t j = first; j < last; j++) {
    s[j] = 0;
    for (uint32_t d = 0; d < a->head_dim; d++) {
      const float product = q[d] * element(a, head, key_at(a, j, d));
      s[j] = s[j] + product;
    }
    if (scaled) s[j] = s[j] * oracle_load(head + scale_at(a, 0, j), DP_F32, 0);
    if (s[j] > part.maximum) part.maximum = s[j];
  }
  for (uint32_t j = first; j < last; j++) p[j] = dp_exp(s[j] - part.maximum);
  part.sum = sum16(p, 64);
  for (uint32_t j = first; j < last; j++) {
    const float weight = scaled ? p[j] * oracle_load(head + scale_at(a, 1, j), DP_F32, 0) : p[j];
    for (uint32_t d = 0; d < a->head_dim; d++) {
      const float product = weight * element(a, head, value_at(a, j, d));
      part.values[d] = part.values[d] + product;
    }
  }
  return part;
}

static float weighed(float x, float a, float y, float b) {
  const float left = x * a, right = y * b;
  return left + right;
}

void oracle_attend(const dp_attention *a, const dp_row *row, uint32_t head, const float *q, float *out) {
  const uint32_t kv_head = head / (a->query_heads / a->kv_heads), t = row->position;
  const uint32_t seen = a->window == 0 || t + 1 < a->window ? 0 : t + 1 - a->window;
  part total = {0};
  for (uint32_t page = seen / 64; page <= t / 64; page++) {
    const uint32_t first = seen > page * 64 ? seen - page * 64 : 0;
    const uint32_t last = t + 1 < page * 64 + 64 ? t + 1 - page * 64 : 64;
    const char *at = (const char *)(uintptr_t)((const dp_pages *)(uintptr_t)row->pages)->at[page];
    const part next = attend_page(a, at + a->page_offset + kv_head * head_bytes(a), q, first, last);
    if (page == seen / 64) {
      total = next;
      continue;
    }
    const float maximum = next.maximum > total.maximum ? next.maximum : total.maximum;
    const float before = dp_exp(total.maximum - maximum), now = dp_exp(next.maximum - maximum);
    total.maximum = maximum;
    total.sum = weighed(total.sum, before, next.sum, now);
    for (uint32_t d = 0; d < a->head_dim; d++) {
      total.values[d] = weighed(total.values[d], before, next.values[d], now);
    }
  }
  const float inverse = 1.0f / total.sum;
  for (uint32_t d = 0; d < a->head_dim; d++) out[d] = total.values[d] * inverse;
}
