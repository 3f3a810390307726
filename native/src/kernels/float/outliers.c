/*
 * outliers.c: the few elements of a row that are many times as large as the rest. A row's step is set by the rest;
 * outliers get the integers that they need, 15 bits with the sign, and are multiplied once more for what passes a
 * byte: q = low + 128 * high, sum q w = sum low w + 128 * sum high w. See DP_MAX_OUTLIERS in dotpool.h.
 */
#include <string.h>

#include "../../kernel_table.h"
#include "../../registers.h"
#include "../../rounding.h"
#include "magnitude.h"
#include "per_isa.h"

enum {
  GROUPS = 32,  /* element i is of group i mod 32 */
  STRETCH = 64, /* elements that are looked at together */
  GROUP_VECTORS = GROUPS / DP_PART_LANES,
  STRETCH_VECTORS = 2 * GROUP_VECTORS,
  ROOM = 64,  /* for large elements */
  HIGH = 128, /* what one of `high` stands for */
  MOST_INTEGER = 127 * HIGH,
};

/* Elements above a bound, in the order of their places: the bits of their magnitudes. */
typedef struct large_elements {
  uint32_t bound;
  uint32_t count;
  union {
    dp_words vectors[ROOM / DP_PART_LANES];
    uint32_t magnitude[ROOM];
  };
  uint32_t place[ROOM];
} large_elements;

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

/* The largest of these magnitudes that at least `count` of them reach; 0 where they are fewer. */
static uint32_t reached_by(const dp_words *magnitudes, uint32_t vectors, uint32_t count) {
  dp_words reached = {0};
  for (uint32_t v = 0; v < vectors; v++) {
    /* all ones in a lane count one down: how many are below */
    dp_words reach = (dp_words){0} + vectors * DP_PART_LANES;
    const uint32_t *each = (const uint32_t *)magnitudes;
    for (uint32_t i = 0; i < vectors * DP_PART_LANES; i++) reach += dp_is_above(magnitudes[v], each[i]);
    reached = dp_larger(reached, magnitudes[v] & dp_is_above(reach, count - 1));
  }
  uint32_t largest = 0;
  for (uint32_t i = 0; i < DP_PART_LANES; i++) largest = reached[i] > largest ? reached[i] : largest;
  return largest;
}

/* Raises the bound to the magnitude that `count` elements of the row reach, so that fewer stay. */
static void keep_fewer_than(uint32_t count, large_elements *large) {
  const uint32_t vectors = (large->count + DP_PART_LANES - 1) / DP_PART_LANES;
  for (uint32_t i = large->count; i < vectors * DP_PART_LANES; i++) large->magnitude[i] = 0;
  const uint32_t reached = reached_by(large->vectors, vectors, count);
  if (reached > large->bound) large->bound = reached;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < large->count; i++) {
    large->magnitude[kept] = large->magnitude[i];
    large->place[kept] = large->place[i];
    kept += large->magnitude[i] > large->bound;
  }
  large->count = kept;
}

/*
 * The elements above the (most + 1)-th largest, which is the bound. That many groups have elements above a first
 * bound or at it, so that few are above it.
 */
static void find_largest(const float *x, size_t k, uint32_t most, large_elements *large) {
  dp_words maximum[GROUP_VECTORS];
  group_maxima(x, k, maximum);
  large->bound = reached_by(maximum, GROUP_VECTORS, most + 1);
  large->count = 0;
  float room[STRETCH];
  for (size_t i = 0; i < k; i += STRETCH) {
    const float *at = stretch_at(x, k, i, room);
    uint64_t above = 0;
    for (int v = 0; v < STRETCH_VECTORS; v++) {
      const dp_words lanes = dp_is_above(dp_magnitudes(at + v * DP_PART_LANES), large->bound);
      above |= (uint64_t)dp_lane_bits(lanes) << v * DP_PART_LANES;
    }
    for (; above != 0; above &= above - 1) {
      const uint32_t l = (uint32_t)__builtin_ctzll(above);
      if (large->count == ROOM) keep_fewer_than(most + 1, large);
      large->magnitude[large->count] = dp_magnitude(at[l]);
      large->place[large->count++] = (uint32_t)i + l;
    }
  }
  keep_fewer_than(most + 1, large);
}

/* An outlier is at most 128 times as large as the rest is taken to be. */
static float largest_of_rest(const large_elements *large, uint32_t largest) {
  const float rest = dp_float_from_bits(large->bound), least = dp_float_from_bits(largest) / HIGH;
  const float a = rest > least ? rest : least;
  return a > DP_ABSMAX_FLOOR ? a : DP_ABSMAX_FLOOR;
}

/* Negative ones come first; without a branch, for no CPU could predict it. */
static void append(dp_outliers *list, uint32_t k, int32_t high) {
  const bool is_negative = high < 0;
  const uint32_t magnitude = (uint32_t)(is_negative ? -high : high) << k % DP_KR * 8;
  list->at[list->count] = list->at[list->negative];
  list->at[is_negative ? list->negative : list->count] = (dp_outlier){.k = k, .magnitude = magnitude};
  list->negative += is_negative;
  list->count++;
}

float DP_PER_ISA(dp_split_outliers)(float *x, size_t k, uint32_t most, dp_outliers *outliers) {
  large_elements large;
  find_largest(x, k, most, &large);
  uint32_t largest = large.bound;
  for (uint32_t i = 0; i < large.count; i++) largest = large.magnitude[i] > largest ? large.magnitude[i] : largest;
  outliers->count = outliers->negative = 0;
  if (largest >= DP_INFINITY_BITS) return DP_ABSMAX_FLOOR;
  const float a = largest_of_rest(&large, largest), inverse = 127.0f / a, step = a / 127.0f;
  for (uint32_t i = 0; i < large.count; i++) {
    if (dp_float_from_bits(large.magnitude[i]) <= a) continue;
    const uint32_t place = large.place[i];
    int32_t q = (int32_t)dp_round(x[place] * inverse);
    q = q > MOST_INTEGER ? MOST_INTEGER : q < -MOST_INTEGER ? -MOST_INTEGER : q;
    const int32_t high = (q + HIGH / 2) >> 7;
    /* which quantises to the low part again: |low| <= 64, and rounding is far from half a step */
    x[place] = (float)(q - high * HIGH) * step;
    append(outliers, place, high);
  }
  return a;
}

typedef int32_t lanes __attribute__((vector_size(DP_VECTOR_BYTES)));
enum { LANES = DP_VECTOR_BYTES / sizeof(int32_t), MOST_SUMS = 8 /* vectors, that they stay in registers */ };

/* sum[n] + |high| * w[n, k]; quads: where w[n, k] is one of the four bytes of lane n. */
static inline lanes add_product(lanes sum, dp_outlier outlier, lanes quads) {
#if defined(__AVX512VNNI__)
  return (lanes)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32((int32_t)outlier.magnitude), (__m512i)quads);
#elif defined(__AVX2__)
  /* nothing saturates: of the two products that are added one is zero */
  const __m256i products = _mm256_maddubs_epi16(_mm256_set1_epi32((int32_t)outlier.magnitude), (__m256i)quads);
  return sum + (lanes)_mm256_madd_epi16(products, _mm256_set1_epi16(1));
#else
  /* the byte is brought up, then down with its sign */
  const int at = outlier.k % DP_KR * 8;
  return sum + (quads << (24 - at) >> 24) * (int32_t)(outlier.magnitude >> at);
#endif
}

/* dp_add_outliers for `vectors` vectors of channels: what is negative is summed first, and taken off. */
DP_INLINE void add_to(int32_t *acc, uint32_t vectors, const dp_outliers *outliers, const int8_t *w) {
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

/* Sixteen channels; the compiler cuts this into the registers that the ISA has. */
typedef int32_t column_lanes __attribute__((vector_size(DP_COLUMN * sizeof(int32_t))));
typedef int8_t column_bytes __attribute__((vector_size(DP_COLUMN)));

void DP_PER_ISA(dp_add_outliers_s4)(const dp_outliers *outliers, const uint8_t *w, uint32_t first, uint32_t columns,
                                    int32_t *acc) {
  for (uint32_t c = 0; c < columns; c++, acc += DP_COLUMN) {
    column_lanes sum = {0};
    for (uint32_t i = 0; i < outliers->count; i++) {
      const uint32_t k = outliers->at[i].k, quad = k / DP_KR % DP_S4_QUADS;
      const uint8_t *group = w + k / DP_S4_GROUP * DP_S4_GROUP_BYTES;
      const uint8_t *pair = group + DP_NR + quad / 2 * DP_QUAD_BYTES;
      column_bytes multipliers;
      column_lanes nibbles;
      memcpy(&multipliers, group + (first + c) * sizeof multipliers, sizeof multipliers);
      memcpy(&nibbles, pair + (first + c) * sizeof nibbles, sizeof nibbles);
      const int at = (int)(k % DP_KR * 8 + quad % 2 * 4);
      const column_lanes levels = (nibbles >> at & 15) - DP_S4_OFFSET;
      sum += levels * (__builtin_convertvector(multipliers, column_lanes) * dp_outlier_high(outliers, i));
    }
    /* sums may wrap on the way, which signed numbers must not */
    for (uint32_t n = 0; n < DP_COLUMN; n++) acc[n] = (int32_t)((uint32_t)acc[n] + (uint32_t)sum[n] * HIGH);
  }
}
