/* test_embed.c: rows of a float embedding, widened, and tokens out of range. */
#include <string.h>

#include "arena.h"
#include "float_rows.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 60, ROWS_MAX = 20 };

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static void test_case(uint32_t m, uint32_t n, uint32_t k) {
  arena arena = make_arena(random_between(1, 4));
  float_rows w = make_float_rows(n, k, 5);
  const uint32_t sample_count = one_in(3) ? 0 : random_between(1, ROWS_MAX);
  block rows = make_input(m * sizeof(dp_row), 8);
  block samples = make_input(sample_count * sizeof(dp_sample), 8);
  block y = make_output((size_t)m * k * sizeof(float), random_offset(4)), untouched = make_output(y.bytes, 0);
  dp_row *row = rows.at;
  dp_sample *sample = samples.at;
  /* some tokens were not sampled */
  for (uint32_t i = 0; i < sample_count; i++) {
    sample[i] = (dp_sample){.id = one_in(3) ? random_past(n) : random_between(0, n - 1)};
  }
  const bool sound = one_in(2);
  for (uint32_t i = 0; i < m; i++) {
    /* some tokens are given, some were sampled, and some may be out of range */
    const bool sampled = sample_count > 0 && one_in(2);
    uint32_t id = sampled ? DP_FROM_SAMPLE | random_between(0, sample_count - 1) : random_between(0, n - 1);
    if (!sound && one_in(4)) id = random_past(one_in(2) ? n : DP_FROM_SAMPLE);
    row[i] = (dp_row){.id = id, .position = i};
  }
  const dp_op op = {
      .kind = DP_OP_EMBED,
      .m = m,
      .embed =
          {
              .rows = address_of(&rows),
              .samples = sample_count == 0 ? 0 : address_of(&samples),
              .w = address_of(&w.memory),
              .y = address_of(&y),
              .sample_count = sample_count,
              .n = n,
              .k = k,
              .w_type = w.type,
          },
  };
  const uint32_t fault = atomic_load(&slot_at(&arena, run_alone(&arena, &op, 1))->fault);
  bool faulty = false, named = false;
  for (uint32_t i = 0; i < m; i++) {
    const float *got = (const float *)y.at + (size_t)i * k;
    const uint32_t sampled = row[i].id - DP_FROM_SAMPLE;
    uint32_t id = row[i].id;
    if (id & DP_FROM_SAMPLE ? sampled >= sample_count : id >= n) {
      faulty = true;
      named |= fault == (DP_BAD_ROW | i);
      check(memcmp(got, untouched.at, k * sizeof *got) == 0, "embed M %u: bad row %u was written", m, i);
      continue;
    }
    if (id & DP_FROM_SAMPLE) id = sample[sampled].id;
    for (uint32_t j = 0; j < k; j++) {
      const float expected = id >= n ? 0 : float_rows_at(&w, id, j);
      if (!check(same_float(got[j], expected), "embed type %d, M %u, K %u: row %u, element %u differs", w.type, m, k, i,
                 j)) {
        break;
      }
    }
  }
  check(faulty ? named : fault == 0, "embed M %u, N %u, %u samples: fault %x", m, n, sample_count, fault);
  check(edges_hold(&y), "embed M %u, K %u wrote beside its memory", m, k);
  free_block(&w.memory), free_block(&rows), free_block(&samples), free_block(&y), free_block(&untouched);
  free_arena(&arena);
}

void embed_case(void) { test_case(random_extent(ROWS_MAX), random_extent(30), random_extent(100)); }

void test_embed(void) {
  for (int i = 0; i < CASES; i++) embed_case();
  report("embed %s", dp_isa());
}
