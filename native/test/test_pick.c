/* test_pick.c: the sampler against one that sorts, and scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/kernels/float/exp.h"
#include "arena.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 250, MOST_SEEN = 12 };

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

/* ---- the reference ----------------------------------------------------------------------------- */

static int descending(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

/* As the op does it, before all else. */
static void penalise(float *logits, const dp_pick *pick) {
  for (uint32_t i = 0; i < pick->seen_count; i++) {
    float *logit = &logits[((const uint32_t *)(uintptr_t)pick->seen)[i]];
    *logit = *logit > 0 ? *logit / pick->penalty : *logit * pick->penalty;
  }
}

static float maximum_of(const float *logits, uint32_t n) {
  float maximum = -INFINITY;
  for (uint32_t i = 0; i < n; i++) maximum = logits[i] > maximum ? logits[i] : maximum;
  return maximum;
}

static uint32_t draw(const float *logits, uint32_t n, const dp_pick *pick) {
  const float maximum = maximum_of(logits, n);
  if (pick->temperature == 0) {
    uint32_t id = 0;
    while (logits[id] != maximum) id++;
    return id;
  }
  uint64_t *weight = malloc(2 * n * sizeof *weight), *sorted = weight + n, least = 1;
  for (uint32_t i = 0; i < n; i++) {
    const float relative = (logits[i] - maximum) / pick->temperature;
    weight[i] = (uint64_t)((isinf(maximum) ? logits[i] == maximum : dp_exp(relative)) * 0x1p30f);
  }
  memcpy(sorted, weight, n * sizeof *weight);
  qsort(sorted, n, sizeof *sorted, descending);
  if (pick->top_k > 0 && pick->top_k < n && sorted[pick->top_k - 1] > least) least = sorted[pick->top_k - 1];
  if (pick->top_p < 1) {
    uint64_t total = 0, sum = 0;
    for (uint32_t i = 0; i < n; i++) total += weight[i] >= least ? weight[i] : 0;
    const double goal = ceil((double)pick->top_p * (double)total);
    uint32_t i = 0;
    do sum += sorted[i++];
    while ((double)sum < goal);
    least = sorted[i - 1];
  }
  const uint64_t min_p = (uint64_t)ceil((double)pick->min_p * 0x1p30);
  if (min_p > least) least = min_p;
  uint64_t total = 0, sum = 0;
  for (uint32_t i = 0; i < n; i++) total += weight[i] >= least ? weight[i] : 0;
  const uint64_t target = (uint64_t)((unsigned __int128)pick->random * total >> 32);
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
  const uint32_t character = random_between(0, 5);
  random_floats(logits, n);
  for (uint32_t i = 0; i < n; i++) {
    const float unit = (float)random_between(0, 1 << 20) / (1 << 20);
    if (character < 3) logits[i] = unit * 20 - 10;
    if (character == 3) logits[i] = (float)random_between(0, 5); /* ties */
    if (character == 4 && one_in(9)) logits[i] = one_in(2) ? -INFINITY : 0;
  }
  if (one_in(12)) logits[random_between(0, n - 1)] = INFINITY;
  if (one_in(30)) {
    for (uint32_t i = 0; i < n; i++) logits[i] = -INFINITY;
  }
}

static dp_pick random_pick(uint32_t n, uint32_t *seen) {
  const float temperatures[] = {0, 1e-45f, 1e-30f, 0.3f, 0.7f, 1, 1.5f, 100, 3e38f};
  const float top_ps[] = {0, 1e-45f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f, 0.99999994f};
  const float min_ps[] = {1e-45f, 1e-9f, 0.01f, 0.1f, 0.99999994f, 1}, penalties[] = {1.3f, 0.7f, 1e-45f, 3e38f};
  dp_pick pick = {
      .action = random_between(DP_PICK_NOTHING, DP_PICK_SCORE),
      .id = random_between(0, n - 1),
      .temperature = temperatures[random_between(0, 8)],
      .top_p = one_in(2) ? 1 : top_ps[random_between(0, 7)],
      .min_p = one_in(2) ? 0 : min_ps[random_between(0, 5)],
      .top_k = one_in(2) ? 0 : one_in(9) ? random_past(n) : random_between(1, n),
      .penalty = one_in(2) ? 1 : penalties[random_between(0, 3)],
      .random = one_in(8) ? UINT32_MAX : (uint32_t)random_bits(),
      .seen = (uint64_t)(uintptr_t)seen,
  };
  for (uint32_t id = random_between(0, n - 1); id < n && pick.seen_count < MOST_SEEN; id += 3) {
    seen[pick.seen_count++] = id;
  }
  return pick;
}

/* Makes some of the ids that a pick names such that are not there. */
static void name_others(dp_pick *pick, uint32_t n) {
  uint32_t *seen = (uint32_t *)(uintptr_t)pick->seen;
  if (one_in(2)) pick->id = random_past(n);
  for (uint32_t i = 0; i < pick->seen_count; i++) {
    if (one_in(3)) seen[i] = random_past(n);
  }
}

/* What must come of a pick from those logits, which it penalises. */
static dp_pick_outcome outcome_of(const dp_pick *asked, float *logits, uint32_t n) {
  const uint32_t *seen = (const uint32_t *)(uintptr_t)asked->seen;
  bool masked = true, outside = false;
  if (asked->action == DP_PICK_NOTHING) return 0;
  if (asked->action == DP_PICK_SCORE && asked->id >= n) return DP_PICK_OUTSIDE;
  for (uint32_t i = 0; i < asked->seen_count; i++) outside |= seen[i] >= n;
  if (asked->action == DP_PICK_DRAW && outside) return DP_PICK_OUTSIDE;
  if (asked->action == DP_PICK_DRAW) penalise(logits, asked);
  for (uint32_t i = 0; i < n; i++) {
    if (isnan(logits[i])) return DP_PICK_NAN;
    masked &= logits[i] == -INFINITY;
  }
  return masked && asked->action == DP_PICK_DRAW ? DP_PICK_MASKED : DP_PICKED;
}

static void check_pick(const dp_pick *got, const dp_pick *asked, float *logits, uint32_t n) {
  if (asked->action == DP_PICK_DRAW) {
    const uint32_t id = draw(logits, n, asked);
    check(got->id == id, "draw N %u, temperature %g, top_k %u, top_p %g, min_p %g: id %u, not %u", n,
          (double)asked->temperature, asked->top_k, (double)asked->top_p, (double)asked->min_p, got->id, id);
  } else if (asked->action == DP_PICK_SCORE) {
    const float maximum = maximum_of(logits, n), logit = logits[asked->id];
    for (uint32_t i = 0; i < n; i++) logits[i] = dp_exp(logits[i] - maximum);
    check(same_float(got->logit, logit) && got->maximum == maximum &&
              same_float(got->sum, oracle_sum16(logits, n)),
          "score N %u: %a, %a, %a", n, (double)got->logit, (double)got->maximum, (double)got->sum);
  } else {
    check(memcmp(got, asked, sizeof *got) == 0, "a row was picked from that was not to be");
  }
}

static void test_case(uint32_t m, uint32_t n) {
  arena arena = make_arena(random_between(1, 4));
  block logits = make_output((size_t)m * n * sizeof(float), random_offset(4));
  block copy = make_input(logits.bytes, 4), picks = make_output(m * sizeof(dp_pick), 0);
  block asked = make_input(picks.bytes, 8), seen = make_input((size_t)m * MOST_SEEN * 4, 4);
  for (uint32_t i = 0; i < m; i++) {
    float *row = (float *)logits.at + (size_t)i * n;
    dp_pick *pick = (dp_pick *)asked.at + i;
    random_logits(row, n);
    *pick = random_pick(n, (uint32_t *)seen.at + i * MOST_SEEN);
    if (one_in(40)) row[random_between(0, n - 1)] = NAN;
    if (one_in(20)) name_others(pick, n);
  }
  memcpy(copy.at, logits.at, logits.bytes);
  memcpy(picks.at, asked.at, asked.bytes);
  const dp_op op = {
      .kind = DP_OP_PICK,
      .m = m,
      .pick = {.logits = address_of(&logits), .picks = address_of(&picks), .n = n},
  };
  const uint32_t fault = atomic_load(&slot_at(&arena, run_alone(&arena, &op, 1))->fault);
  bool named = false, faulty = false;
  for (uint32_t i = 0; i < m; i++) {
    dp_pick *pick = (dp_pick *)picks.at + i, *wanted = (dp_pick *)asked.at + i;
    float *row = (float *)copy.at + (size_t)i * n;
    const uint32_t outcome = outcome_of(wanted, row, n);
    check(pick->outcome == outcome, "pick N %u: outcome %u, not %u", n, pick->outcome, outcome);
    if (outcome > DP_PICKED) {
      faulty = true;
      named |= fault == (outcome == DP_PICK_OUTSIDE ? DP_BAD_ROW | i : i + 1);
      wanted->outcome = outcome;
      check(memcmp(pick, wanted, sizeof *pick) == 0, "something came of outcome %u", outcome);
    } else {
      check_pick(pick, wanted, row, n);
    }
  }
  check(faulty ? named : fault == 0, "pick M %u, N %u: fault %x", m, n, fault);
  check(edges_hold(&logits) && edges_hold(&picks), "pick M %u, N %u wrote beside its memory", m, n);
  free_block(&logits), free_block(&copy), free_block(&picks), free_block(&asked), free_block(&seen);
  free_arena(&arena);
}

void pick_case(void) { test_case(random_extent(20), one_in(50) ? random_between(1000, 1400) : random_extent(300)); }

void test_pick(void) {
  for (int i = 0; i < CASES; i++) pick_case();
  for (int i = 0; i < 8; i++) test_case(2, random_between(1024, 9000));
  report("pick %s", dp_isa());
}
