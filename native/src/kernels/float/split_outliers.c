/*
 * split_outliers.c: the few elements of a row that are many times as large as the rest. A row's step is set by the rest;
 * outliers get the integers that they need, 15 bits with the sign, and are multiplied once more for what passes a
 * byte: q = low + 128 * high, sum q w = sum low w + 128 * sum high w. See DP_MAX_OUTLIERS in dotpool.h.
 */
#include <string.h>

#include "../../kernel_table.h"
#include "../../rounding.h"
#include "magnitude.h"
#include "per_isa.h"

enum {
  GROUPS = 32,  /* element i is of group i mod 32 */
  STRETCH = 64, /* elements that are looked at together */
  GROUP_VECTORS = GROUPS / DP_PART_LANES,
  STRETCH_VECTORS = 2 * GROUP_VECTORS,
  ROOM = 64, /* for large elements */
  MOST_INTEGER = 127 * DP_HIGH,
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
  const float rest = dp_float_from_bits(large->bound), least = dp_float_from_bits(largest) / DP_HIGH;
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
    const int32_t high = (q + DP_HIGH / 2) >> 7;
    /* which quantises to the low part again: |low| <= 64, and rounding is far from half a step */
    x[place] = (float)(q - high * DP_HIGH) * step;
    append(outliers, place, high);
  }
  return a;
}
