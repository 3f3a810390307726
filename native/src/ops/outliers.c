/*
 * outliers.c: the few elements of a row that are many times as large as the rest. A row's step is set by the rest;
 * outliers get the integers that they need, 15 bits with the sign, and are multiplied once more for what passes a
 * byte: q = low + 128 * high, sum q w = sum low w + 128 * sum high w. See DP_MAX_OUTLIERS in dotpool.h.
 */
#include "../kernels.h"
#include "../rounding.h"
#include "magnitude.h"
#include "per_isa.h"

enum {
  GROUPS = 32,  /* element i is of group i mod 32 */
  STRETCH = 64, /* elements that are looked at together */
  GROUP_VECTORS = GROUPS / DP_PART_LANES,
  STRETCH_VECTORS = 2 * GROUP_VECTORS,
  HIGH = 128,   /* what one of `high` stands for */
  MOST_INTEGER = 127 * HIGH,
};

/* The largest elements seen, in descending order: the bits of their magnitudes, then their places. */
typedef struct largest {
  uint64_t at[DP_MAX_OUTLIERS + 1];
} largest;

static inline uint32_t magnitude_of(uint64_t element) { return (uint32_t)(element >> 32); }

static inline uint32_t place_of(uint64_t element) { return (uint32_t)element; }

/* Keeps the last + 1 largest, without branches, which no CPU could predict. */
static inline void offer(largest *list, uint32_t last, uint64_t element) {
  for (uint32_t i = last; i > 0; i--) {
    const uint64_t pushed = list->at[i - 1] < element ? list->at[i - 1] : element;
    list->at[i] = list->at[i] > pushed ? list->at[i] : pushed;
  }
  list->at[0] = list->at[0] > element ? list->at[0] : element;
}

/* Elements first .. first + STRETCH - 1; behind the row's end, zeros in `room`. */
static const float *stretch_at(const float *x, size_t k, size_t first, float room[STRETCH]) {
  if (k - first >= STRETCH) return x + first;
  memset(room, 0, STRETCH * sizeof *room);
  return memcpy(room, x + first, (k - first) * sizeof *x);
}

/* maximum = max |x[i]| of each group */
static void group_maxima(const float *x, size_t k, dp_words maximum[GROUP_VECTORS]) {
  float room[STRETCH];
  dp_words lanes[STRETCH_VECTORS] = {{0}};
  for (size_t i = 0; i < k; i += STRETCH) {
    const float *at = stretch_at(x, k, i, room);
    for (int v = 0; v < STRETCH_VECTORS; v++) {
      lanes[v] = dp_larger(lanes[v], dp_magnitudes(at + v * DP_PART_LANES));
    }
  }
  for (int v = 0; v < GROUP_VECTORS; v++) maximum[v] = dp_larger(lanes[v], lanes[v + GROUP_VECTORS]);
}

/* The largest of the maxima that at least `count` of them reach. */
static uint32_t reached_by(const dp_words maximum[GROUP_VECTORS], uint32_t count) {
  uint32_t each[GROUPS], below[GROUPS], bound = 0;
  dp_words lanes[GROUP_VECTORS] = {{0}};
  memcpy(each, maximum, sizeof each);
  for (int i = 0; i < GROUPS; i++) {
    for (int v = 0; v < GROUP_VECTORS; v++) lanes[v] += dp_is_above(maximum[v], each[i]);
  }
  memcpy(below, lanes, sizeof below);
  for (int g = 0; g < GROUPS; g++) {
    /* all ones in a lane count one down */
    const uint32_t candidate = GROUPS + below[g] >= count ? each[g] : 0;
    bound = candidate > bound ? candidate : bound;
  }
  return bound;
}

/*
 * The most + 1 largest elements. That many groups reach the bound, so that many elements do: only those above it,
 * which are few, are sorted, and where they do not suffice the bound is the magnitude of the next ones.
 */
static largest find_largest(const float *x, size_t k, uint32_t most) {
  dp_words maximum[GROUP_VECTORS];
  group_maxima(x, k, maximum);
  const uint32_t bound = reached_by(maximum, most + 1);
  largest found = {{0}};
  float room[STRETCH];
  for (size_t i = 0; i < k; i += STRETCH) {
    const float *at = stretch_at(x, k, i, room);
    dp_words larger = {0};
    for (int v = 0; v < STRETCH_VECTORS; v++) larger = dp_larger(larger, dp_magnitudes(at + v * DP_PART_LANES));
    if (!dp_any(dp_is_above(larger, bound))) continue;
    for (uint32_t v = 0; v < STRETCH; v += DP_PART_LANES) {
      if (!dp_any(dp_is_above(dp_magnitudes(at + v), bound))) continue;
      for (uint32_t l = v; l < v + DP_PART_LANES; l++) {
        const uint32_t magnitude = dp_magnitude(at[l]);
        if (magnitude > bound) offer(&found, most, (uint64_t)magnitude << 32 | (i + l));
      }
    }
  }
  for (uint32_t i = 0; i <= most; i++) {
    const uint64_t least = (uint64_t)bound << 32;
    found.at[i] = found.at[i] > least ? found.at[i] : least;
  }
  return found;
}

/* An outlier is at most 128 times as large as the rest is taken to be. */
static float largest_of_rest(const largest *found, uint32_t most) {
  const float rest = dp_float_from_bits(magnitude_of(found->at[most]));
  const float least = dp_float_from_bits(magnitude_of(found->at[0])) / HIGH;
  const float a = rest > least ? rest : least;
  return a > DP_ABSMAX_FLOOR ? a : DP_ABSMAX_FLOOR;
}

static void append(dp_outliers *list, dp_outlier outlier) {
  uint32_t at = list->count++;
  if (outlier.high < 0) {
    const uint32_t first_positive = list->negative++;
    list->at[at] = list->at[first_positive];
    at = first_positive;
  }
  list->at[at] = outlier;
}

float DP_PER_ISA(dp_split_outliers)(float *x, size_t k, uint32_t most, dp_outliers *outliers) {
  const largest found = find_largest(x, k, most);
  outliers->count = outliers->negative = 0;
  if (magnitude_of(found.at[0]) >= DP_INFINITY_BITS) return DP_ABSMAX_FLOOR;
  const float a = largest_of_rest(&found, most), inverse = 127.0f / a, step = a / 127.0f;
  for (uint32_t i = 0; i < most && dp_float_from_bits(magnitude_of(found.at[i])) > a; i++) {
    const uint32_t place = place_of(found.at[i]);
    int32_t q = (int32_t)dp_round(x[place] * inverse);
    q = q > MOST_INTEGER ? MOST_INTEGER : q < -MOST_INTEGER ? -MOST_INTEGER : q;
    const int32_t high = (q + HIGH / 2) >> 7;
    /* which quantises to the low part again: |low| <= 64, and rounding is far from half a step */
    x[place] = (float)(q - high * HIGH) * step;
    append(outliers, (dp_outlier){.k = place, .high = high});
  }
  return a;
}

typedef int32_t lanes __attribute__((vector_size(DP_VECTOR_BYTES)));
enum { LANES = DP_VECTOR_BYTES / sizeof(int32_t), MOST_SUMS = 8 /* vectors, that they stay in registers */ };

/* sum[n] += |high| * w[n, k]; quads: where w[n, k] is one of the four bytes of lane n. */
static inline lanes add_product(lanes sum, dp_outlier outlier, lanes quads) {
  const int32_t magnitude = outlier.high < 0 ? -outlier.high : outlier.high, at = outlier.k % DP_KR * 8;
#if defined(__AVX512VNNI__)
  return (lanes)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(magnitude << at), (__m512i)quads);
#elif defined(__AVX2__)
  /* nothing saturates: of the two products that are added one is zero */
  const __m256i products = _mm256_maddubs_epi16(_mm256_set1_epi32(magnitude << at), (__m256i)quads);
  return sum + (lanes)_mm256_madd_epi16(products, _mm256_set1_epi16(1));
#else
  /* the byte is brought up, then down with its sign */
  return sum + (quads << (24 - at) >> 24) * magnitude;
#endif
}

/* dp_add_outliers for `vectors` vectors of channels: what is negative is summed first, and taken off. */
static inline __attribute__((always_inline)) void add_to(int32_t *acc, uint32_t vectors, const dp_outliers *outliers,
                                                         const int8_t *w) {
  lanes sum[MOST_SUMS] = {{0}};
  uint32_t i = 0;
  for (; i < outliers->negative; i++) {
    const lanes *quads = (const void *)(w + outliers->at[i].k / DP_KR * DP_QUAD_BYTES);
    for (uint32_t v = 0; v < vectors; v++) sum[v] = add_product(sum[v], outliers->at[i], quads[v]);
  }
  for (uint32_t v = 0; v < vectors; v++) sum[v] = -sum[v];
  for (; i < outliers->count; i++) {
    const lanes *quads = (const void *)(w + outliers->at[i].k / DP_KR * DP_QUAD_BYTES);
    for (uint32_t v = 0; v < vectors; v++) sum[v] = add_product(sum[v], outliers->at[i], quads[v]);
  }
  /* sums may wrap on the way, which signed numbers must not */
  for (uint32_t v = 0; v < vectors; v++) ((dp_words *)(void *)acc)[v] += (dp_words)(sum[v] * HIGH);
}

void DP_PER_ISA(dp_add_outliers)(const dp_outliers *outliers, const int8_t *w, uint32_t columns, int32_t *acc) {
  enum {
    COLUMN = DP_COLUMN / LANES, /* vectors */
    MOST = MOST_SUMS / COLUMN < DP_COLUMNS ? MOST_SUMS / COLUMN : DP_COLUMNS,
  };
  uint32_t c = 0;
  for (; c + MOST <= columns; c += MOST) {
    add_to(acc + c * DP_COLUMN, MOST * COLUMN, outliers, w + c * DP_COLUMN * DP_KR);
  }
  for (; c < columns; c++) add_to(acc + c * DP_COLUMN, COLUMN, outliers, w + c * DP_COLUMN * DP_KR);
}
