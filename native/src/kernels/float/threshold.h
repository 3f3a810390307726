/*
 * threshold.h: which weights of a row are admitted by top-k, top-p and min-p. Weights are whole numbers up to
 * 2^30, held as float32, which like all floats that are not negative are ordered as their bits are.
 */
#ifndef DP_THRESHOLD_H
#define DP_THRESHOLD_H

#include <string.h>

#include "../../registers.h"
#include "maximum.h"

enum {
  BLOCK = 128,     /* weights looked at together: most blocks can be passed over */
  PARTS = 1024,    /* of a row, for a first guess at the k-th largest */
  DIGIT_BITS = 11, /* of a weight's bits, which differ in the lowest 28 */
  FIRST_SHIFT = 28 - DIGIT_BITS,
};

#define LEAST 1.0f         /* the least weight that can be sampled */
#define MOST 1073741824.0f /* 2^30: the weight of the best */

static inline size_t block_of(size_t first, size_t n) { return n - first < BLOCK ? n - first : BLOCK; }

/* The sum of all weights that are at least `least`. */
static uint64_t sum_from(const float *weights, size_t n, float least) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += (uint32_t)(int32_t)(weights[i] >= least ? weights[i] : 0.0f);
  return sum;
}

typedef enum measure { COUNT, SUM } measure;

/* tally[d] = how many weights, or how much, in the range have the digit d = (bits - low) >> shift */
DP_INLINE void tally_digits(const float *weights, size_t n, uint32_t low, uint32_t range, uint32_t shift,
                            const measure measure, uint64_t *tally) {
  for (size_t first = 0; first < n; first += BLOCK) {
    const float *block = weights + first;
    const size_t count = block_of(first, n);
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++) any |= dp_float_bits(block[i]) - low < range;
    if (!any) continue;
    /* without a branch, which no CPU could predict */
    uint32_t inside[BLOCK], found = 0;
    for (size_t i = 0; i < count; i++) {
      inside[found] = dp_float_bits(block[i]) - low;
      found += inside[found] < range;
    }
    for (size_t i = 0; i < found; i++) {
      const float weight = dp_float_from_bits(inside[i] + low);
      tally[inside[i] >> shift] += measure == COUNT ? 1 : (uint64_t)(int32_t)weight;
    }
  }
}

/*
 * The largest weight such that all that are at least as large are so many, or sum up to so much, as `goal`
 * says; `least` if none is. Found digit by digit of its bits, from the front.
 */
static float reach(const float *weights, size_t n, float least, uint64_t goal, const measure measure) {
  uint64_t tally[1 << DIGIT_BITS], above = 0;
  uint32_t low = dp_float_bits(least), range = dp_float_bits(MOST) - low + 1;
  for (uint32_t shift = FIRST_SHIFT;; shift = shift > DIGIT_BITS ? shift - DIGIT_BITS : 0) {
    memset(tally, 0, sizeof tally);
    if (measure == COUNT) {
      tally_digits(weights, n, low, range, shift, COUNT, tally);
    } else {
      tally_digits(weights, n, low, range, shift, SUM, tally);
    }
    uint32_t digit = (range - 1) >> shift;
    while (digit > 0 && above + tally[digit] < goal) above += tally[digit--];
    low += digit << shift;
    range = 1u << shift;
    if (shift == 0) return dp_float_from_bits(low);
  }
}

/*
 * The k-th largest weight, or the least if there are not so many. Of many parts of the row, k have a maximum
 * that is at least as large as the k-th largest maximum: so have k weights, and the others do not matter.
 */
static float top_k(const float *weights, size_t n, uint32_t k) {
  float maxima[PARTS], least = LEAST;
  if (k <= PARTS && n >= PARTS) {
    for (size_t part = 0; part < PARTS; part++) {
      const size_t first = n * part / PARTS;
      maxima[part] = dp_maximum(weights + first, n * (part + 1) / PARTS - first);
    }
    least = reach(maxima, PARTS, least, k, COUNT);
  }
  return reach(weights, n, least, k, COUNT);
}

/* ceil(value) for a float of at most 2^30 */
static float round_up(float value) {
  const float below = (float)(int32_t)value;
  return below < value ? below + 1.0f : below;
}

/*
 * The largest weight such that all from it on, of those from `least` on, sum up to `p` of their total. What is
 * below an n-th of the rest does not matter: it is less than the rest together.
 */
static float top_p(const float *weights, size_t n, float least, float p) {
  const uint64_t total = sum_from(weights, n, least);
  const double wanted = (double)p * (double)total;
  uint64_t goal = (uint64_t)wanted;
  if ((double)goal < wanted || goal == 0) goal++;
  const float below = (float)((total - goal) / n);
  return reach(weights, n, below > least ? below : least, goal, SUM);
}

/* The least weight that may be sampled. */
static float threshold(const float *weights, size_t n, const dp_sample *sample) {
  float least = LEAST;
  if (sample->top_k > 0 && sample->top_k < n) least = top_k(weights, n, sample->top_k);
  if (sample->top_p < 1.0f) least = top_p(weights, n, least, sample->top_p);
  const float min_p = sample->min_p < 1.0f ? round_up(sample->min_p * MOST) : MOST;
  return min_p > least ? min_p : least;
}

#endif
