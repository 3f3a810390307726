/*
 * outliers.c: the few elements of a row that are many times as large as the rest. A row's step is set by the rest;
 * outliers get the integers that they need, 15 bits with the sign, and are multiplied once more for what passes a
 * byte: q = low + 128 * high, sum q w = sum low w + 128 * sum high w. See DP_MAX_OUTLIERS in dotpool.h.
 */
#include "../kernels.h"
#include "../rounding.h"
#include "per_isa.h"
#include "sum16.h"

enum {
  GROUPS = 64,            /* element i is of group i mod 64 */
  HIGH = 128,             /* what one of `high` stands for */
  MOST_INTEGER = 127 * HIGH,
};

typedef struct element {
  uint32_t magnitude, k;
} element;

/* The largest elements seen, in descending order. */
typedef struct largest {
  uint32_t count, most;
  element at[DP_MAX_OUTLIERS + 1];
} largest;

static void offer(largest *list, uint32_t magnitude, uint32_t k) {
  if (list->count == list->most && magnitude <= list->at[list->most - 1].magnitude) return;
  uint32_t i = list->count < list->most ? list->count++ : list->most - 1;
  for (; i > 0 && list->at[i - 1].magnitude < magnitude; i--) list->at[i] = list->at[i - 1];
  list->at[i] = (element){magnitude, k};
}

/* maximum[g] = max |x[i]| of group g, as bits */
static void group_maxima(const float *x, size_t k, uint32_t maximum[GROUPS]) {
  memset(maximum, 0, GROUPS * sizeof *maximum);
  for (size_t i = 0; i < k; i += GROUPS) {
    uint32_t bits[GROUPS] = {0};
    memcpy(bits, x + i, (k - i < GROUPS ? k - i : GROUPS) * sizeof *x);
    for (int g = 0; g < GROUPS; g++) {
      const uint32_t magnitude = bits[g] & 0x7fffffffu;
      maximum[g] = magnitude > maximum[g] ? magnitude : maximum[g];
    }
  }
}

/*
 * The elements above the (most + 1)-th largest magnitude, which goes to `rest`. At least most + 1 groups reach
 * the (most + 1)-th largest of their maxima, so that it is at most the one wanted; and what is above it lies in
 * no more than `most` groups, the only ones that are looked through.
 */
static largest find_largest(const float *x, size_t k, uint32_t most, uint32_t *rest) {
  uint32_t maximum[GROUPS];
  group_maxima(x, k, maximum);
  largest groups = {.most = most + 1}, found = {.most = most + 1};
  for (uint32_t g = 0; g < GROUPS; g++) offer(&groups, maximum[g], g);
  const uint32_t bound = groups.at[most].magnitude;
  for (uint32_t g = 0; g < most && groups.at[g].magnitude > bound; g++) {
    for (size_t i = groups.at[g].k; i < k; i += GROUPS) {
      const uint32_t magnitude = dp_magnitude(x[i]);
      if (magnitude > bound) offer(&found, magnitude, (uint32_t)i);
    }
  }
  *rest = found.count > most ? found.at[most].magnitude : bound;
  if (found.count > most) found.count = most;
  return found;
}

/* An outlier is at most 128 times as large as the rest is taken to be. */
static float largest_of_rest(const largest *above, uint32_t rest) {
  const float most = above->count == 0 ? 0 : dp_float_from_bits(above->at[0].magnitude) / HIGH;
  const float a = dp_float_from_bits(rest) > most ? dp_float_from_bits(rest) : most;
  return a > DP_ABSMAX_FLOOR ? a : DP_ABSMAX_FLOOR;
}

float DP_PER_ISA(dp_split_outliers)(float *x, size_t k, uint32_t most, dp_outliers *outliers) {
  uint32_t rest;
  const largest above = find_largest(x, k, most, &rest);
  outliers->count = 0;
  if (rest >= DP_INFINITY_BITS || (above.count > 0 && above.at[0].magnitude >= DP_INFINITY_BITS)) {
    return DP_ABSMAX_FLOOR;
  }
  const float a = largest_of_rest(&above, rest), inverse = 127.0f / a, step = a / 127.0f;
  for (uint32_t i = 0; i < above.count && dp_float_from_bits(above.at[i].magnitude) > a; i++) {
    float *value = x + above.at[i].k;
    int32_t q = (int32_t)dp_round(*value * inverse);
    q = q > MOST_INTEGER ? MOST_INTEGER : q < -MOST_INTEGER ? -MOST_INTEGER : q;
    const int32_t high = (q + HIGH / 2) >> 7;
    /* which quantises to the low part again: |low| <= 64, and rounding is far from half a step */
    *value = (float)(q - high * HIGH) * step;
    outliers->at[outliers->count++] = (dp_outlier){.k = above.at[i].k, .high = high};
  }
  return a;
}

#if defined(__AVX512VNNI__)

/* vpdpbusd wants one factor unsigned: the weights, 128 more than they are, which is taken off again. */
void DP_PER_ISA(dp_add_outliers)(const dp_outliers *outliers, const int8_t *w, uint32_t columns, int32_t *acc) {
  __m512i quads[DP_MAX_OUTLIERS];
  int32_t highs = 0;
  for (uint32_t i = 0; i < outliers->count; i++) {
    const dp_outlier outlier = outliers->at[i];
    quads[i] = _mm512_set1_epi32((int32_t)((uint32_t)(outlier.high & 0xff) << outlier.k % DP_KR * 8));
    highs += outlier.high;
  }
  const __m512i shift = _mm512_set1_epi8((char)0x80), excess = _mm512_set1_epi32(-128 * highs);
  for (uint32_t c = 0; c < columns; c++, w += DP_COLUMN * DP_KR, acc += DP_COLUMN) {
    __m512i sum = excess;
    for (uint32_t i = 0; i < outliers->count; i++) {
      const void *at = w + outliers->at[i].k / DP_KR * DP_QUAD_BYTES;
      sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_load_si512(at), shift), quads[i]);
    }
    _mm512_store_si512(acc, _mm512_add_epi32(_mm512_load_si512(acc), _mm512_slli_epi32(sum, 7)));
  }
}

#else

typedef int32_t lanes __attribute__((vector_size(DP_VECTOR_BYTES)));
enum { LANES = DP_VECTOR_BYTES / sizeof(int32_t) };

void DP_PER_ISA(dp_add_outliers)(const dp_outliers *outliers, const int8_t *w, uint32_t columns, int32_t *acc) {
  for (uint32_t n = 0; n < columns * DP_COLUMN; n += LANES) {
    lanes sum = {0};
    for (uint32_t i = 0; i < outliers->count; i++) {
      const dp_outlier outlier = outliers->at[i];
      /* the weight of a channel is one of the four bytes of its quad: brought up, then down with its sign */
      const int up = 24 - outlier.k % DP_KR * 8;
      const lanes quads = *(const lanes *)(const void *)(w + outlier.k / DP_KR * DP_QUAD_BYTES + n * DP_KR);
      sum += (quads << up >> 24) * outlier.high;
    }
    *(dp_words *)(void *)(acc + n) += (dp_words)(sum * HIGH);
  }
}

#endif
