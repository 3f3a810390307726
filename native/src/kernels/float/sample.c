/*
 * sample.c: the next id, sampled from a row of logits: adjustments, mask, temperature, then top-k, top-p and min-p, in the
 * order and with the meanings that Hugging Face's transformers gives them.
 *
 * An id's weight is floor(e^((l - max l) / temperature) * 2^30). Weights are whole numbers, so that their
 * sums are the same in any order. float32 holds them exactly, because it held them before the floor, and so
 * they are written over the logits; like all floats that are not negative they are ordered as their bits.
 */
#include "../../kernel_table.h"
#include "exp.h"
#include "maximum.h"
#include "per_isa.h"
#include "threshold.h"

/* ---- the best ---------------------------------------------------------------------------------- */

static uint32_t first_equal(const float *logits, size_t n, float value) {
  for (size_t first = 0; first < n; first += BLOCK) {
    const size_t count = block_of(first, n);
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) found |= logits[first + i] == value;
    if (!found) continue;
    size_t i = first;
    while (logits[i] != value) i++;
    return (uint32_t)i;
  }
  return 0;
}

static void adjust(float *logits, const dp_sample *sample) {
  const dp_adjustment *adjustments = (const dp_adjustment *)(uintptr_t)sample->adjustments;
  for (uint32_t i = 0; i < sample->adjustment_count; i++) {
    float *logit = logits + (adjustments[i].id & ~DP_PENALISED);
    if (adjustments[i].id & DP_PENALISED) *logit = *logit > 0.0f ? *logit / sample->penalty : *logit * sample->penalty;
    *logit += adjustments[i].addend;
  }
}

static void mask(float *logits, size_t n, const dp_sample *sample) {
  if (sample->mask == 0) return;
  const uint32_t *words = (const uint32_t *)(uintptr_t)sample->mask + 1;
  for (size_t first = 0; first < n; first += 32) {
    const uint32_t word = words[first / 32];
    if (word == UINT32_MAX) continue;
    const size_t count = n - first < 32 ? n - first : 32;
    for (size_t i = 0; i < count; i++) {
      if (!(word >> i & 1)) logits[first + i] = -dp_float_from_bits(DP_INFINITY_BITS);
    }
  }
}

/* ---- weights ----------------------------------------------------------------------------------- */

/* Where the best is +infinity, all that equal it weigh the same and all others nothing. */
static void weigh(float *logits, size_t n, float maximum, float temperature) {
  if (dp_magnitude(maximum) == DP_INFINITY_BITS) {
    for (size_t i = 0; i < n; i++) logits[i] = logits[i] == maximum ? MOST : 0.0f;
    return;
  }
  /* two loops: gcc 12 does not vectorise the one */
  for (size_t i = 0; i < n; i++) logits[i] = dp_exp((logits[i] - maximum) / temperature) * MOST;
  for (size_t i = 0; i < n; i++) logits[i] = (float)(int32_t)logits[i];
}

/* ---- sampling ----------------------------------------------------------------------------------- */

/* The first id at which the weights from `least` on sum up to more than `target`. */
static uint32_t id_at(const float *weights, size_t n, float least, uint64_t target) {
  uint64_t sum = 0;
  size_t i = 0;
  for (; i < n; i += BLOCK) {
    const uint64_t block = sum_from(weights + i, block_of(i, n), least);
    if (sum + block > target) break;
    sum += block;
  }
  for (;; i++) {
    if (weights[i] >= least) sum += (uint64_t)(int32_t)weights[i];
    if (sum > target) return (uint32_t)i;
  }
}

dp_sample_outcome DP_PER_ISA(dp_sample_row)(float *logits, size_t n, dp_sample *sample) {
  adjust(logits, sample);
  mask(logits, n, sample);
  const float maximum = dp_maximum(logits, n);
  if (maximum != maximum) return DP_SAMPLE_NAN;
  if (maximum == -dp_float_from_bits(DP_INFINITY_BITS)) return DP_SAMPLE_MASKED;
  if (sample->temperature == 0.0f) {
    sample->id = first_equal(logits, n, maximum);
    return DP_SAMPLE_DONE;
  }
  weigh(logits, n, maximum, sample->temperature);
  const float least = threshold(logits, n, sample);
  const uint64_t total = sum_from(logits, n, least);
  /* floor(random * total / 2^32), without a product that overflows */
  const uint64_t target = sample->random * (total >> 32) + (sample->random * (total & UINT32_MAX) >> 32);
  sample->id = id_at(logits, n, least, target);
  return DP_SAMPLE_DONE;
}
