/*
 * score.c: what the probability of one id is made of: e^(l[id] - max l) / sum_n e^(l[n] - max l); and the ids of the
 * largest logits.
 */
#include "../../kernel_table.h"
#include "exp.h"
#include "maximum.h"
#include "per_isa.h"
#include "sum16.h"

enum { STRETCH = 256 }; /* logits at a time */

static float sum_of_exponentials(const float *logits, size_t n, float maximum) {
  dp_floats lanes[DP_PARTS] = {{0}};
  for (size_t first = 0; first < n; first += STRETCH) {
    float terms[STRETCH] = {0};
    const size_t count = n - first < STRETCH ? n - first : STRETCH;
    for (size_t i = 0; i < count; i++) terms[i] = dp_exp(logits[first + i] - maximum);
    for (size_t i = 0; i < STRETCH; i += DP_LANES) {
      for (int p = 0; p < DP_PARTS; p++) lanes[p] += dp_floats_f32(terms, i + p * DP_PART_LANES);
    }
  }
  return dp_sum_lanes(lanes);
}

/* best[count], in order. */
static void find_best(const float *logits, size_t n, dp_candidate *best, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) best[i] = (dp_candidate){UINT32_MAX, -dp_float_from_bits(DP_INFINITY_BITS)};
  for (size_t first = 0; first < n; first += STRETCH) {
    const size_t end = n - first < STRETCH ? n : first + STRETCH;
    uint32_t any = 0;
    for (size_t i = first; i < end; i++) any |= logits[i] > best[count - 1].logit;
    if (!any) continue;
    for (size_t i = first; i < end; i++) {
      if (!(logits[i] > best[count - 1].logit)) continue;
      uint32_t place = count - 1;
      for (; place > 0 && logits[i] > best[place - 1].logit; place--) best[place] = best[place - 1];
      best[place] = (dp_candidate){(uint32_t)i, logits[i]};
    }
  }
}

dp_sample_outcome DP_PER_ISA(dp_score)(const float *logits, size_t n, dp_sample *sample) {
  const float maximum = dp_maximum(logits, n);
  if (maximum != maximum) return DP_SAMPLE_NAN;
  sample->logit = logits[sample->id];
  sample->maximum = maximum;
  sample->sum = sum_of_exponentials(logits, n, maximum);
  if (sample->candidate_count > 0)
    find_best(logits, n, (dp_candidate *)(uintptr_t)sample->candidates, sample->candidate_count);
  return DP_SAMPLE_DONE;
}
