/* test_embed.c: rows of a float embedding, widened. */
#include "arena.h"
#include "float_rows.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 60, ROWS_MAX = 20 };

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static void test_case(uint32_t m, uint32_t n, uint32_t k) {
  arena arena = make_arena(random_between(1, 4));
  float_rows w = make_float_rows(n, k, 5);
  block rows = make_input(m * sizeof(dp_row), 8);
  block picks = make_input(m * sizeof(dp_pick), 8);
  const uint32_t bad = one_in(3) ? random_between(0, m - 1) : UINT32_MAX;
  block y = make_output((size_t)m * k * sizeof(float), random_offset(4));
  dp_row *row = rows.at;
  dp_pick *pick = picks.at;
  uint32_t id[ROWS_MAX];
  for (uint32_t i = 0; i < m; i++) {
    /* some ids are known, some were drawn, and some draws came to nothing */
    id[i] = one_in(5) ? UINT32_MAX : random_between(0, n - 1);
    const bool drawn = id[i] == UINT32_MAX || one_in(2);
    pick[m - 1 - i] = (dp_pick){.id = id[i]};
    row[i] = (dp_row){.id = drawn ? DP_DRAWN | (m - 1 - i) : id[i], .position = i};
    /* ids and picks that are not there */
    if (i == bad) row[i].id = one_in(2) ? DP_DRAWN | (m + random_between(0, 9)) : n + random_between(0, 9);
  }
  const dp_op op = {
      .kind = DP_OP_EMBED,
      .m = m,
      .n = n,
      .k = k,
      .x = address_of(&picks),
      .u = address_of(&picks) + m * sizeof(dp_pick),
      .tiles = address_of(&w.memory),
      .w_type = w.type,
      .rows = address_of(&rows),
      .y = address_of(&y),
  };
  const uint32_t fault = atomic_load(&slot_at(&arena, run_alone(&arena, &op, 1))->fault);
  check(fault == (bad == UINT32_MAX ? 0 : DP_BAD_ROW | bad), "embed M %u: fault %x, bad row %u", m, fault, bad);
  for (uint32_t i = 0; i < m; i++) {
    if (i == bad) continue;
    for (uint32_t j = 0; j < k; j++) {
      const float expected = id[i] == UINT32_MAX ? 0 : float_rows_at(&w, id[i], j);
      check(same_float(((float *)y.at)[(size_t)i * k + j], expected),
            "embed type %d, M %u, K %u: row %u, element %u differs", w.type, m, k, i, j);
    }
  }
  check(edges_hold(&y), "embed M %u, K %u wrote beside its memory", m, k);
  free_block(&w.memory), free_block(&rows), free_block(&picks), free_block(&y);
  free_arena(&arena);
}

void embed_case(void) { test_case(random_between(1, ROWS_MAX), random_between(1, 30), random_between(1, 100)); }

void test_embed(void) {
  for (int i = 0; i < CASES; i++) embed_case();
  report("embed %s", dp_isa());
}
