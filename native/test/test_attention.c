/*
 * test_attention.c: ROTATE, ATTEND and MERGE against the definition, bit by bit: rows of several sequences, alone and
 * in runs, windows, every type of cache, pages with junk where no row looks. Some rows have invalid positions or page
 * tables: the fault names such a row, and the op skips it.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "attention_oracle.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 60, MOST_ROWS = 40, MOST_SEQUENCES = 3, MOST_PAGES = 4, MOST_POSITIONS = MOST_PAGES * DP_PAGE };

typedef struct attention_case {
  dp_attention attention;
  bool wild; /* floats of every kind, from zeros to infinite sums */
  uint32_t m;
  block rows;
  uint32_t sequence_of[MOST_ROWS];
  block own_tables[MOST_ROWS]; /* of rows whose table differs from their sequence's */
  uint32_t sequences, lengths[MOST_SEQUENCES];
  block pages[MOST_SEQUENCES][MOST_PAGES];
  block tables[MOST_SEQUENCES]; /* dp_pages */
  block q, k, v, q_norm, k_norm, rotation, out, parts;
} attention_case;

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static dp_row *row_of(const attention_case *c, uint32_t m) { return (dp_row *)c->rows.at + m; }

static dp_pages *pages_of(const dp_row *row) { return (dp_pages *)(uintptr_t)row->pages; }

static block make_table(uint64_t count) {
  block table = make_input(sizeof(dp_pages) + count * sizeof(uint64_t), 8);
  ((dp_pages *)table.at)->count = count;
  return table;
}

/* Mostly small enough for finite sums. */
static void fill(const attention_case *c, float *values, size_t count) {
  if (c->wild) {
    random_floats(values, count);
  } else {
    random_moderate_floats(values, count);
  }
}

static block random_input(const attention_case *c, size_t count) {
  block floats = make_input(count * sizeof(float), 4);
  fill(c, floats.at, count);
  if (one_in(20)) spoil(floats.at, count);
  return floats;
}

/* Fills pages with bytes 0xff: NaN in float types, and NaN scales. */
static void make_pages(attention_case *c) {
  const size_t bytes = c->attention.page_offset + oracle_page_bytes(&c->attention);
  for (uint32_t s = 0; s < c->sequences; s++) {
    c->tables[s] = make_table((c->lengths[s] + DP_PAGE - 1) / DP_PAGE);
    for (uint32_t p = 0; p * DP_PAGE < c->lengths[s]; p++) {
      c->pages[s][p] = make_input(bytes, 64);
      memset(c->pages[s][p].at, 0xff, bytes);
      ((dp_pages *)c->tables[s].at)->at[p] = address_of(&c->pages[s][p]);
    }
  }
}

/* Keys and values at all positions up to the last. */
static void fill_pages(attention_case *c) {
  const dp_attention *a = &c->attention;
  for (uint32_t s = 0; s < c->sequences; s++) {
    const uint32_t length = c->lengths[s];
    const uint32_t spoiled = one_in(3) ? length : one_in(2) ? length - 1 : random_between(0, length - 1);
    for (uint32_t t = 0; t < length; t++) {
      for (uint32_t g = 0; g < a->kv_heads; g++) {
        float k[256], v[256];
        fill(c, k, a->head_dim);
        fill(c, v, a->head_dim);
        if (t == spoiled && one_in(4)) spoil(one_in(2) ? k : v, a->head_dim);
        oracle_store_kv(a, c->pages[s][t / DP_PAGE].at, g, t % DP_PAGE, k, v);
      }
    }
  }
}

static uint32_t border_or_any(uint32_t most) {
  const uint32_t near = DP_PAGE * random_between(0, MOST_PAGES) + random_between(0, 2);
  return near >= 1 && near <= most && one_in(3) ? near : random_extent(most);
}

/* Runs of rows of one sequence, and single rows of any. */
static void make_rows(attention_case *c) {
  c->rows = make_input(c->m * sizeof(dp_row), 8);
  uint32_t s = 0, position = 0;
  for (uint32_t m = 0; m < c->m; m++) {
    if (m == 0 || one_in(12) || ++position >= c->lengths[s]) {
      s = random_between(0, c->sequences - 1);
      position = border_or_any(c->lengths[s]) - 1;
    }
    c->sequence_of[m] = s;
    *row_of(c, m) = (dp_row){.position = position, .pages = address_of(&c->tables[s])};
  }
}

/* A table of its own for row m, in which pages may be missing, at the end or in between. */
static void make_own_table(attention_case *c, uint32_t m) {
  const dp_pages *pages = pages_of(row_of(c, m));
  c->own_tables[m] = make_table(one_in(2) ? pages->count : random_between(0, (uint32_t)pages->count));
  dp_pages *own = c->own_tables[m].at;
  for (uint64_t p = 0; p < own->count; p++) own->at[p] = one_in(3) ? 0 : pages->at[p];
  row_of(c, m)->pages = address_of(&c->own_tables[m]);
}

/* Makes some rows see positions that do not exist. */
static void spoil_rows(attention_case *c) {
  dp_pages *pages = c->tables[random_between(0, c->sequences - 1)].at;
  if (one_in(4)) pages->at[random_between(0, (uint32_t)pages->count - 1)] = 0;
  for (uint32_t m = 0; m < c->m; m++) {
    if (one_in(5)) row_of(c, m)->position = random_past(one_in(2) ? c->attention.positions : DP_PAGE);
    if (one_in(5)) make_own_table(c, m);
  }
}

/* Whether all pages exist that a row needs: that of its position, or all that it sees. */
static bool is_sound(const attention_case *c, uint32_t m, bool sees) {
  const dp_attention *a = &c->attention;
  const dp_row *row = row_of(c, m);
  const dp_pages *pages = pages_of(row);
  const uint32_t t = row->position, own = t / DP_PAGE;
  if (t >= a->positions || own >= pages->count || (a->split && own >= a->part_pages)) return false;
  const uint32_t first = !sees ? own : a->window == 0 || t + 1 < a->window ? 0 : (t + 1 - a->window) / DP_PAGE;
  bool sound = true;
  for (uint32_t p = first; p <= own; p++) sound &= pages->at[p] != 0;
  return sound;
}

/* A fault names an invalid row, if there is one. */
static void check_fault(const attention_case *c, uint32_t fault, bool sees, const char *what) {
  bool all_sound = true;
  for (uint32_t m = 0; m < c->m; m++) all_sound &= is_sound(c, m, sees);
  const uint32_t m = fault & ~DP_BAD_ROW;
  const bool named = fault >= DP_BAD_ROW && m < c->m && !is_sound(c, m, sees);
  check(all_sound ? fault == 0 : named, "%s: fault %x of %u rows", what, fault, c->m);
}

static uint32_t random_head_dim(void) {
  const uint32_t usual[] = {64, 80, 96, 128, 256};
  return one_in(20) ? usual[random_between(0, 4)] : 2 * random_extent(one_in(3) ? 128 : 24);
}

static attention_case *make_case(void) {
  attention_case *c = calloc(1, sizeof *c);
  dp_attention *a = &c->attention;
  c->wild = one_in(4);
  a->kv_heads = random_extent(3);
  a->query_heads = a->kv_heads * random_extent(8);
  a->head_dim = random_head_dim();
  a->window = one_in(2) ? 0 : border_or_any(MOST_POSITIONS);
  a->cache_type = random_between(DP_F32, DP_S8);
  a->eps = 1e-6f;
  a->scale = one_in(4) ? 1 : 0.0883883461f;
  a->page_offset = 64 * random_between(0, 2);
  c->m = random_extent(MOST_ROWS);
  c->sequences = random_between(1, MOST_SEQUENCES);
  for (uint32_t s = 0; s < c->sequences; s++) c->lengths[s] = border_or_any(MOST_POSITIONS);
  a->positions = one_in(4) ? random_between(1, MOST_POSITIONS) : MOST_POSITIONS;
  a->part_pages = one_in(4) ? random_between(1, MOST_PAGES) : MOST_PAGES;
  make_pages(c);
  make_rows(c);
  if (one_in(2)) spoil_rows(c);
  const size_t D = a->head_dim;
  c->q = random_input(c, c->m * a->query_heads * D);
  c->k = random_input(c, c->m * a->kv_heads * D);
  c->v = random_input(c, c->m * a->kv_heads * D);
  c->q_norm = random_input(c, D);
  c->k_norm = random_input(c, D);
  c->rotation = random_input(c, a->positions * D);
  c->out = make_output(c->m * a->query_heads * D * sizeof(float), 0);
  c->parts = make_output(c->m * a->query_heads * a->part_pages * (2 + D) * sizeof(float), 0);
  a->q = address_of(&c->q), a->k = address_of(&c->k), a->v = address_of(&c->v);
  if (one_in(2)) a->q_norm = address_of(&c->q_norm), a->k_norm = address_of(&c->k_norm);
  a->rotation = address_of(&c->rotation);
  a->out = address_of(&c->out), a->parts = address_of(&c->parts);
  return c;
}

static void free_case(attention_case *c) {
  for (int s = 0; s < MOST_SEQUENCES; s++) {
    for (int p = 0; p < MOST_PAGES; p++) free_block(&c->pages[s][p]);
    free_block(&c->tables[s]);
  }
  for (int m = 0; m < MOST_ROWS; m++) free_block(&c->own_tables[m]);
  block *const blocks[] = {&c->rows, &c->q, &c->k, &c->v, &c->q_norm, &c->k_norm, &c->rotation, &c->out, &c->parts};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free_block(blocks[i]);
  free(c);
}

static dp_op op_of(const attention_case *c, dp_op_kind kind) {
  return (dp_op){
      .kind = kind,
      .m = c->m,
      .attention = {.rows = address_of(&c->rows), .layer = (uint64_t)(uintptr_t)&c->attention},
  };
}

static block copy_of(const block *original) {
  block copy = make_input(original->bytes, 4);
  memcpy(copy.at, original->at, original->bytes);
  return copy;
}

/* Whether the pages hold the same; NaN may differ in bits. */
static bool same_pages(const attention_case *c, const block *got, const block *expected) {
  if (c->attention.cache_type == DP_F32) {
    return same_floats(got->at, expected->at, got->bytes / sizeof(float));
  }
  return memcmp(got->at, expected->at, got->bytes) == 0;
}

static void test_rotate(const attention_case *c) {
  const dp_attention *a = &c->attention;
  const size_t D = a->head_dim;
  block q = copy_of(&c->q), k = copy_of(&c->k);
  block expected[MOST_SEQUENCES][MOST_PAGES] = {0};
  for (uint32_t s = 0; s < c->sequences; s++) {
    for (uint32_t p = 0; p * DP_PAGE < c->lengths[s]; p++) expected[s][p] = copy_of(&c->pages[s][p]);
  }
  const float *q_norm = (const float *)(uintptr_t)a->q_norm, *k_norm = (const float *)(uintptr_t)a->k_norm;
  for (uint32_t m = 0; m < c->m; m++) {
    const dp_row *row = row_of(c, m);
    if (!is_sound(c, m, false)) continue;
    const float *rotation = (const float *)c->rotation.at + row->position * D;
    for (uint32_t h = 0; h < a->query_heads; h++) {
      float *query = (float *)q.at + (m * a->query_heads + h) * D;
      oracle_rotate(query, a->head_dim, q_norm, a->eps, rotation, a->scale);
    }
    const uint32_t s = c->sequence_of[m];
    for (uint32_t g = 0; g < a->kv_heads; g++) {
      const size_t at = (m * a->kv_heads + g) * D;
      oracle_rotate((float *)k.at + at, a->head_dim, k_norm, a->eps, rotation, 1);
      oracle_store_kv(a, expected[s][row->position / DP_PAGE].at, g, row->position % DP_PAGE, (float *)k.at + at,
                      (float *)c->v.at + at);
    }
  }
  arena arena = make_arena(one_in(2) ? 1 : random_between(2, 9));
  const dp_op op = op_of(c, DP_OP_ROTATE);
  check_fault(c, atomic_load(&slot_at(&arena, run_alone(&arena, &op, 1))->fault), false, "rotate");
  check(same_floats(c->q.at, q.at, q.bytes / sizeof(float)), "rotate D %u: queries differ", a->head_dim);
  for (uint32_t s = 0; s < c->sequences; s++) {
    for (uint32_t p = 0; p * DP_PAGE < c->lengths[s]; p++) {
      check(same_pages(c, &c->pages[s][p], &expected[s][p]), "rotate D %u, type %u: page %u differs", a->head_dim,
            a->cache_type, p);
      free_block(&expected[s][p]);
    }
  }
  free_block(&q), free_block(&k);
  free_arena(&arena);
}

static void test_attend(attention_case *c) {
  dp_attention *a = &c->attention;
  const size_t D = a->head_dim, width = a->query_heads * D;
  block expected = make_input(c->out.bytes, 4), untouched = make_output(width * sizeof(float), 0);
  for (uint32_t i = 0; i < c->m * a->query_heads; i++) {
    const uint32_t m = i / a->query_heads, head = i % a->query_heads;
    if (!is_sound(c, m, true)) continue;
    oracle_attend(a, row_of(c, m), head, (float *)c->q.at + i * D, (float *)expected.at + i * D);
  }
  const dp_op ops[] = {op_of(c, DP_OP_ATTEND), op_of(c, DP_OP_MERGE)};
  for (a->split = 0; a->split < 2; a->split++) {
    arena arena = make_arena(one_in(2) ? 1 : random_between(2, 9));
    memset(c->out.at, 0x5b, c->out.bytes);
    const uint32_t fault = atomic_load(&slot_at(&arena, run_alone(&arena, ops, 1 + a->split))->fault);
    check_fault(c, fault, true, "attend");
    for (uint32_t m = 0; m < c->m; m++) {
      const float *out = (const float *)c->out.at + m * width;
      const bool sound = is_sound(c, m, true), left_out = memcmp(out, untouched.at, untouched.bytes) == 0;
      /* unsplit, rows are skipped if their tile holds an invalid one */
      if (left_out && (!sound || (!a->split && fault != 0))) continue;
      check(sound && same_floats(out, (const float *)expected.at + m * width, width),
            "attend %u rows, heads %u/%u, D %u, window %u, type %u, split %u: row %u differs", c->m, a->query_heads,
            a->kv_heads, a->head_dim, a->window, a->cache_type, a->split, m);
    }
    check(edges_hold(&c->out) && edges_hold(&c->parts), "attend D %u wrote beside its memory", a->head_dim);
    free_arena(&arena);
  }
  a->split = 0;
  free_block(&expected), free_block(&untouched);
}

/* A position of a sequence may occur only once in ROTATE: two rows would write the same place. */
static void make_positions_differ(attention_case *c) {
  bool taken[MOST_SEQUENCES][MOST_POSITIONS] = {0};
  uint32_t kept = 0;
  for (uint32_t m = 0; m < c->m; m++) {
    const dp_row row = *row_of(c, m);
    const uint32_t s = c->sequence_of[m];
    bool ignored = false, *mark = is_sound(c, m, false) ? &taken[s][row.position] : &ignored;
    if (!*mark) {
      c->sequence_of[kept] = s;
      *row_of(c, kept++) = row;
    }
    *mark = true;
  }
  c->m = kept;
}

void attend_case(void) {
  attention_case *c = make_case();
  fill_pages(c);
  test_attend(c);
  make_positions_differ(c);
  test_rotate(c);
  free_case(c);
}

void test_attention(void) {
  for (int i = 0; i < CASES; i++) attend_case();
  report("attention %s", dp_isa());
}
