/* score.c: what the probability of one id is made of: e^(l[id] - max l) / sum_n e^(l[n] - max l). */
#include "../../kernel_table.h"
#include "exp.h"
#include "sum16.h"
#include "maximum.h"
#include "per_isa.h"

enum { STRETCH = 256 }; /* exponentials at a time */

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

dp_pick_outcome DP_PER_ISA(dp_score)(const float *logits, size_t n, dp_pick *pick) {
  const float maximum = dp_maximum(logits, n);
  if (maximum != maximum) return DP_PICK_NAN;
  pick->logit = logits[pick->id];
  pick->maximum = maximum;
  pick->sum = sum_of_exponentials(logits, n, maximum);
  return DP_PICKED;
}
