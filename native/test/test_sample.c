/* test_sample.c: the sampler against one that sorts, and scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/kernels/float/exp.h"
#include "arena.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 250, MOST_ADJUSTED = 12, MOST_CANDIDATES = 20 };

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

/* ---- the reference ----------------------------------------------------------------------------- */

static int descending(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

static dp_adjustment *adjustments_of(const dp_sample *sample) {
  return (dp_adjustment *)(uintptr_t)sample->adjustments;
}

static const uint32_t *mask_of(const dp_sample *sample) { return (const uint32_t *)(uintptr_t)sample->mask; }

/* As the op does it, before it samples. */
static void adjust(float *logits, uint32_t n, const dp_sample *sample) {
  for (uint32_t i = 0; i < sample->adjustment_count; i++) {
    const dp_adjustment adjustment = adjustments_of(sample)[i];
    float *logit = &logits[adjustment.id & ~DP_PENALISED];
    if (adjustment.id & DP_PENALISED) *logit = *logit > 0 ? *logit / sample->penalty : *logit * sample->penalty;
    *logit = *logit + adjustment.addend;
  }
  for (uint32_t i = 0; i < n && sample->mask != 0; i++) {
    if (!(mask_of(sample)[1 + i / 32] >> i % 32 & 1)) logits[i] = -INFINITY;
  }
}

static float maximum_of(const float *logits, uint32_t n) {
  float maximum = -INFINITY;
  for (uint32_t i = 0; i < n; i++) maximum = logits[i] > maximum ? logits[i] : maximum;
  return maximum;
}

static uint32_t sample_reference(const float *logits, uint32_t n, const dp_sample *sample) {
  const float maximum = maximum_of(logits, n);
  if (sample->temperature == 0) {
    uint32_t id = 0;
    while (logits[id] != maximum) id++;
    return id;
  }
  uint64_t *weight = malloc(2 * n * sizeof *weight), *sorted = weight + n, least = 1;
  for (uint32_t i = 0; i < n; i++) {
    const float relative = (logits[i] - maximum) / sample->temperature;
    weight[i] = (uint64_t)((isinf(maximum) ? logits[i] == maximum : dp_exp(relative)) * 0x1p30f);
  }
  memcpy(sorted, weight, n * sizeof *weight);
  qsort(sorted, n, sizeof *sorted, descending);
  if (sample->top_k > 0 && sample->top_k < n && sorted[sample->top_k - 1] > least) least = sorted[sample->top_k - 1];
  if (sample->top_p < 1) {
    uint64_t total = 0, sum = 0;
    for (uint32_t i = 0; i < n; i++) total += weight[i] >= least ? weight[i] : 0;
    const double goal = ceil((double)sample->top_p * (double)total);
    uint32_t i = 0;
    do sum += sorted[i++];
    while ((double)sum < goal);
    least = sorted[i - 1];
  }
  const uint64_t min_p = (uint64_t)ceil((double)sample->min_p * 0x1p30);
  if (min_p > least) least = min_p;
  uint64_t total = 0, sum = 0;
  for (uint32_t i = 0; i < n; i++) total += weight[i] >= least ? weight[i] : 0;
  const uint64_t target = (uint64_t)((unsigned __int128)sample->random * total >> 32);
  uint32_t id = 0;
  for (;; id++) {
    if (weight[id] >= least) sum += weight[id];
    if (sum > target) break;
  }
  free(weight);
  return id;
}

/* ---- cases ------------------------------------------------------------------------------------- */

static void random_logits(float *logits, uint32_t n) {
  const uint32_t distribution = random_between(0, 5);
  random_floats(logits, n);
  for (uint32_t i = 0; i < n; i++) {
    const float unit = (float)random_between(0, 1 << 20) / (1 << 20);
    if (distribution < 3) logits[i] = unit * 20 - 10;
    if (distribution == 3) logits[i] = (float)random_between(0, 5); /* ties */
    if (distribution == 4 && one_in(9)) logits[i] = one_in(2) ? -INFINITY : 0;
  }
  if (one_in(12)) logits[random_between(0, n - 1)] = INFINITY;
  if (one_in(30)) {
    for (uint32_t i = 0; i < n; i++) logits[i] = -INFINITY;
  }
}

/* Memory that a sample names. */
typedef struct surroundings {
  dp_adjustment *adjustments; /* [MOST_ADJUSTED] */
  dp_candidate *candidates;   /* [MOST_CANDIDATES] */
  float *copy;                /* [N] */
  uint32_t *mask;             /* [1 + ceil(N / 32)] */
} surroundings;

static dp_sample random_sample(uint32_t n, surroundings around) {
  const float temperatures[] = {0, 1e-45f, 1e-30f, 0.3f, 0.7f, 1, 1.5f, 100, 3e38f};
  const float top_ps[] = {0, 1e-45f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f, 0.99999994f};
  const float min_ps[] = {1e-45f, 1e-9f, 0.01f, 0.1f, 0.99999994f, 1}, penalties[] = {1.3f, 0.7f, 1e-45f, 3e38f};
  dp_sample sample = {
      .action = random_between(DP_SAMPLE_NOTHING, DP_SAMPLE_SCORE),
      .id = random_between(0, n - 1),
      .temperature = temperatures[random_between(0, 8)],
      .top_p = one_in(2) ? 1 : top_ps[random_between(0, 7)],
      .min_p = one_in(2) ? 0 : min_ps[random_between(0, 5)],
      .top_k = one_in(2)   ? 0
               : one_in(9) ? random_past(n)
                           : random_between(1, n),
      .penalty = one_in(2) ? 1 : penalties[random_between(0, 3)],
      .random = one_in(8) ? UINT32_MAX : (uint32_t)random_bits(),
      .adjustments = (uint64_t)(uintptr_t)around.adjustments,
      .candidates = (uint64_t)(uintptr_t)around.candidates,
      .candidate_count = one_in(2) ? 0 : random_between(1, MOST_CANDIDATES),
      .copy = one_in(2) ? 0 : (uint64_t)(uintptr_t)around.copy,
  };
  if (one_in(2)) {
    sample.mask = (uint64_t)(uintptr_t)around.mask;
    sample.mask_tag = around.mask[0] = (uint32_t)random_bits();
    const uint32_t density = random_between(0, 3);
    for (uint32_t i = 0; i < (n + 31) / 32; i++) {
      const uint32_t words[] = {0, (uint32_t)random_bits() & (uint32_t)random_bits(), (uint32_t)random_bits(),
                                UINT32_MAX};
      around.mask[1 + i] = words[one_in(4) ? random_between(0, 3) : density];
    }
    if (one_in(10)) sample.mask_tag++;
  }
  const float addends[] = {0, -1.5f, 0.25f, 100, -INFINITY, -3e38f};
  for (uint32_t id = random_between(0, n - 1); id < n && sample.adjustment_count < MOST_ADJUSTED; id += 3) {
    around.adjustments[sample.adjustment_count++] =
        (dp_adjustment){id | (one_in(2) ? DP_PENALISED : 0), addends[random_between(0, 5)]};
  }
  return sample;
}

/* Makes some of the tokens that a sample names out of range. */
static void name_others(dp_sample *sample, uint32_t n) {
  if (one_in(2)) sample->id = random_past(n);
  for (uint32_t i = 0; i < sample->adjustment_count; i++) {
    if (one_in(3)) adjustments_of(sample)[i].id = random_past(n);
  }
}

static bool has_nan(const float *logits, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    if (isnan(logits[i])) return true;
  }
  return false;
}

/* What must come of a sample from those logits, which it adjusts. */
static dp_sample_outcome outcome_of(const dp_sample *asked, float *logits, uint32_t n) {
  if (asked->action == DP_SAMPLE_NOTHING) return 0;
  if (asked->action == DP_SAMPLE_SCORE)
    return asked->id >= n ? DP_SAMPLE_OUTSIDE : has_nan(logits, n) ? DP_SAMPLE_NAN : DP_SAMPLE_DONE;
  for (uint32_t i = 0; i < asked->adjustment_count; i++) {
    if ((adjustments_of(asked)[i].id & ~DP_PENALISED) >= n) return DP_SAMPLE_OUTSIDE;
  }
  if (asked->mask != 0 && mask_of(asked)[0] != asked->mask_tag) return DP_SAMPLE_LATE;
  if (asked->copy != 0 && has_nan(logits, n)) return DP_SAMPLE_NAN;
  adjust(logits, n, asked);
  if (has_nan(logits, n)) return DP_SAMPLE_NAN;
  return maximum_of(logits, n) == -INFINITY ? DP_SAMPLE_MASKED : DP_SAMPLE_DONE;
}

/* The largest logits, by search after search. */
static void check_candidates(const dp_sample *got, const float *logits, uint32_t n) {
  const dp_candidate *candidates = (const dp_candidate *)(uintptr_t)got->candidates;
  for (uint32_t rank = 0; rank < got->candidate_count; rank++) {
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
      bool taken = logits[i] == -INFINITY;
      for (uint32_t j = 0; j < rank; j++) taken |= candidates[j].id == i;
      if (!taken && (best == UINT32_MAX || logits[i] > logits[best])) best = i;
    }
    check(candidates[rank].id == best && (best == UINT32_MAX || same_float(candidates[rank].logit, logits[best])),
          "candidate %u of N %u: id %u, not %u", rank, n, candidates[rank].id, best);
  }
}

/* Of logits as they came. */
static void check_score(const dp_sample *got, const float *logits, uint32_t n) {
  const float maximum = maximum_of(logits, n);
  float *terms = malloc(n * sizeof *terms);
  for (uint32_t i = 0; i < n; i++) terms[i] = dp_exp(logits[i] - maximum);
  check(same_float(got->logit, logits[got->id]) && got->maximum == maximum &&
            same_float(got->sum, oracle_sum16(terms, n)),
        "score N %u: %a, %a, %a", n, (double)got->logit, (double)got->maximum, (double)got->sum);
  free(terms);
  check_candidates(got, logits, n);
}

/* raw: the logits as they came; logits: adjusted. */
static void check_sample(const dp_sample *got, const dp_sample *asked, const float *raw, const float *logits,
                         uint32_t n) {
  if (asked->action == DP_SAMPLE_TOKEN) {
    if (asked->copy != 0) check_score(got, raw, n);
    const uint32_t id = sample_reference(logits, n, asked);
    check(got->id == id, "sample N %u, temperature %g, top_k %u, top_p %g, min_p %g: token %u, not %u", n,
          (double)asked->temperature, asked->top_k, (double)asked->top_p, (double)asked->min_p, got->id, id);
  } else if (asked->action == DP_SAMPLE_SCORE) {
    check_score(got, raw, n);
  } else {
    check(memcmp(got, asked, sizeof *got) == 0, "a skipped row was sampled");
  }
}

static void test_case(uint32_t m, uint32_t n) {
  arena arena = make_arena(random_between(1, 4));
  block logits = make_output((size_t)m * n * sizeof(float), random_offset(4));
  block copy = make_input(logits.bytes, 4), samples = make_output(m * sizeof(dp_sample), 0);
  block asked = make_input(samples.bytes, 8), raw = make_input(logits.bytes, 4);
  block adjustments = make_input((size_t)m * MOST_ADJUSTED * sizeof(dp_adjustment), 4);
  block candidates = make_output((size_t)m * MOST_CANDIDATES * sizeof(dp_candidate), 0);
  block copies = make_output(logits.bytes, 0);
  const size_t mask_words = 1 + (n + 31) / 32;
  block masks = make_input(m * mask_words * sizeof(uint32_t), 4);
  for (uint32_t i = 0; i < m; i++) {
    float *row = (float *)logits.at + (size_t)i * n;
    dp_sample *sample = (dp_sample *)asked.at + i;
    random_logits(row, n);
    const surroundings around = {
        (dp_adjustment *)adjustments.at + (size_t)i * MOST_ADJUSTED,
        (dp_candidate *)candidates.at + (size_t)i * MOST_CANDIDATES,
        (float *)copies.at + (size_t)i * n,
        (uint32_t *)masks.at + i * mask_words,
    };
    *sample = random_sample(n, around);
    if (one_in(40)) row[random_between(0, n - 1)] = NAN;
    if (one_in(20)) name_others(sample, n);
  }
  memcpy(copy.at, logits.at, logits.bytes);
  memcpy(raw.at, logits.at, logits.bytes);
  memcpy(samples.at, asked.at, asked.bytes);
  const dp_op op = {
      .kind = DP_OP_SAMPLE,
      .m = m,
      .sample = {.logits = address_of(&logits), .samples = address_of(&samples), .n = n},
  };
  const uint32_t fault = atomic_load(&slot_at(&arena, run_alone(&arena, &op, 1))->fault);
  bool named = false, faulty = false;
  for (uint32_t i = 0; i < m; i++) {
    dp_sample *sample = (dp_sample *)samples.at + i, *wanted = (dp_sample *)asked.at + i;
    float *row = (float *)copy.at + (size_t)i * n;
    const uint32_t outcome = outcome_of(wanted, row, n);
    check(sample->outcome == outcome, "sample N %u: outcome %u, not %u", n, sample->outcome, outcome);
    if (outcome > DP_SAMPLE_DONE) {
      faulty = true;
      named |= fault == (outcome == DP_SAMPLE_OUTSIDE ? DP_BAD_ROW | i : i + 1);
      check(wanted->copy != 0 || sample->id == wanted->id, "something came of outcome %u", outcome);
    } else {
      check_sample(sample, wanted, (float *)raw.at + (size_t)i * n, row, n);
    }
  }
  check(faulty ? named : fault == 0, "sample M %u, N %u: fault %x", m, n, fault);
  check(edges_hold(&logits) && edges_hold(&samples) && edges_hold(&candidates) && edges_hold(&copies),
        "sample M %u, N %u wrote beside its memory", m, n);
  free_block(&logits), free_block(&copy), free_block(&samples), free_block(&asked), free_block(&raw);
  free_block(&adjustments), free_block(&candidates), free_block(&copies), free_block(&masks);
  free_arena(&arena);
}

void sample_case(void) { test_case(random_extent(20), one_in(50) ? random_between(1000, 1400) : random_extent(300)); }

void test_sample(void) {
  for (int i = 0; i < CASES; i++) sample_case();
  for (int i = 0; i < 8; i++) test_case(2, random_between(1024, 9000));
  report("sample %s", dp_isa());
}
