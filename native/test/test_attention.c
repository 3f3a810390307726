/*
 * test_attention.c: ROTATE, ATTEND and MERGE against the definition, bit by bit: rows of several sequences,
 * alone and in stretches, windows, every type of cache, pages that hold junk where no row looks.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "attention_oracle.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 60, MOST_SEQUENCES = 3, MOST_PAGES = 4, MOST_POSITIONS = MOST_PAGES * DP_PAGE };

/* dp_pages of one sequence. */
typedef struct page_table {
  uint64_t count, at[MOST_PAGES];
} page_table;

typedef struct attention_case {
  dp_attention attention;
  bool wild; /* floats of every kind, from zeros to infinite sums */
  uint32_t m;
  block rows;
  uint32_t sequences, lengths[MOST_SEQUENCES];
  block pages[MOST_SEQUENCES][MOST_PAGES];
  page_table tables[MOST_SEQUENCES];
  block q, k, v, q_norm, k_norm, rotation, out, parts;
} attention_case;

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static dp_row *row_of(const attention_case *c, uint32_t m) { return (dp_row *)c->rows.at + m; }

static uint32_t sequence_of(const attention_case *c, const dp_row *row) {
  return (uint32_t)((const page_table *)(uintptr_t)row->pages - c->tables);
}

/* Mostly such that sums stay finite. */
static void fill(const attention_case *c, float *values, size_t count) {
  if (c->wild) {
    random_floats(values, count);
  } else {
    for (size_t i = 0; i < count; i++) values[i] = (float)random_between(0, 4000) / 1000 - 2;
  }
}

static block random_input(const attention_case *c, size_t count) {
  block floats = make_input(count * sizeof(float), 4);
  fill(c, floats.at, count);
  if (one_in(20)) spoil(floats.at, count);
  return floats;
}

/* Pages where every byte is 0xff: NaN in float types, and NaN scales. */
static void make_pages(attention_case *c) {
  const size_t bytes = c->attention.page_offset + oracle_page_bytes(&c->attention);
  for (uint32_t s = 0; s < c->sequences; s++) {
    for (uint32_t p = 0; p * DP_PAGE < c->lengths[s]; p++) {
      c->pages[s][p] = make_input(bytes, 64);
      memset(c->pages[s][p].at, 0xff, bytes);
      c->tables[s].at[p] = address_of(&c->pages[s][p]);
      c->tables[s].count++;
    }
  }
}

/* Keys and values at all positions up to the last. */
static void fill_pages(attention_case *c) {
  const dp_attention *a = &c->attention;
  for (uint32_t s = 0; s < c->sequences; s++) {
    for (uint32_t t = 0; t < c->lengths[s]; t++) {
      for (uint32_t g = 0; g < a->kv_heads; g++) {
        float k[256], v[256];
        fill(c, k, a->head_dim);
        fill(c, v, a->head_dim);
        if (one_in(1000) || (t + 1 == c->lengths[s] && one_in(4))) spoil(one_in(2) ? k : v, a->head_dim);
        oracle_store_kv(a, c->pages[s][t / DP_PAGE].at, g, t % DP_PAGE, k, v);
      }
    }
  }
}

static uint32_t border_or_any(uint32_t most) {
  const uint32_t near = DP_PAGE * random_between(0, MOST_PAGES) + random_between(0, 2);
  return near >= 1 && near <= most && one_in(2) ? near : random_between(1, most);
}

/* Stretches of rows of one sequence, and the odd row of any. */
static void make_rows(attention_case *c) {
  c->rows = make_input(c->m * sizeof(dp_row), 8);
  uint32_t s = 0, position = 0;
  for (uint32_t m = 0; m < c->m; m++) {
    if (m == 0 || one_in(12) || ++position >= c->lengths[s]) {
      s = random_between(0, c->sequences - 1);
      position = border_or_any(c->lengths[s]) - 1;
    }
    *row_of(c, m) = (dp_row){.position = position, .pages = (uint64_t)(uintptr_t)&c->tables[s]};
  }
}

static uint32_t random_head_dim(void) {
  const uint32_t usual[] = {64, 80, 96, 128, 256};
  return one_in(3) ? usual[random_between(0, 4)] : 2 * random_between(1, one_in(3) ? 128 : 24);
}

static attention_case *make_case(void) {
  attention_case *c = calloc(1, sizeof *c);
  dp_attention *a = &c->attention;
  c->wild = one_in(4);
  a->kv_heads = random_between(1, 3);
  a->query_heads = a->kv_heads * random_between(1, 8);
  a->head_dim = random_head_dim();
  a->window = one_in(2) ? 0 : border_or_any(MOST_POSITIONS);
  a->cache_type = random_between(DP_F32, DP_S8);
  a->eps = 1e-6f;
  a->scale = one_in(4) ? 1 : 0.0883883461f;
  a->page_offset = 64 * random_between(0, 2);
  c->m = random_between(1, 40);
  c->sequences = random_between(1, MOST_SEQUENCES);
  for (uint32_t s = 0; s < c->sequences; s++) c->lengths[s] = border_or_any(MOST_POSITIONS);
  make_pages(c);
  make_rows(c);
  const size_t D = a->head_dim;
  c->q = random_input(c, c->m * a->query_heads * D);
  c->k = random_input(c, c->m * a->kv_heads * D);
  c->v = random_input(c, c->m * a->kv_heads * D);
  c->q_norm = random_input(c, D);
  c->k_norm = random_input(c, D);
  c->rotation = random_input(c, MOST_POSITIONS * D);
  c->out = make_output(c->m * a->query_heads * D * sizeof(float), 0);
  a->positions = MOST_POSITIONS;
  a->part_pages = MOST_PAGES;
  c->parts = make_output(c->m * a->query_heads * MOST_PAGES * (2 + D) * sizeof(float), 0);
  a->q = address_of(&c->q), a->k = address_of(&c->k), a->v = address_of(&c->v);
  if (one_in(2)) a->q_norm = address_of(&c->q_norm), a->k_norm = address_of(&c->k_norm);
  a->rotation = address_of(&c->rotation);
  a->out = address_of(&c->out), a->parts = address_of(&c->parts);
  return c;
}

static void free_case(attention_case *c) {
  for (int s = 0; s < MOST_SEQUENCES; s++) {
    for (int p = 0; p < MOST_PAGES; p++) free_block(&c->pages[s][p]);
  }
  block *const blocks[] = {&c->rows, &c->q,        &c->k,   &c->v,    &c->q_norm,
                           &c->k_norm, &c->rotation, &c->out, &c->parts};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free_block(blocks[i]);
  free(c);
}

static dp_op op_of(const attention_case *c, dp_op_kind kind) {
  return (dp_op){
      .kind = kind,
      .m = c->m,
      .rows = address_of(&c->rows),
      .attention = (uint64_t)(uintptr_t)&c->attention,
  };
}

static bool same_floats(const float *a, const float *b, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!same_float(a[i], b[i])) return false;
  }
  return true;
}

static block copy_of(const block *original) {
  block copy = make_input(original->bytes, 4);
  memcpy(copy.at, original->at, original->bytes);
  return copy;
}

/* Whether the pages hold the same; the bits of a NaN do not matter. */
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
    const float *rotation = (const float *)c->rotation.at + row->position * D;
    for (uint32_t h = 0; h < a->query_heads; h++) {
      float *query = (float *)q.at + (m * a->query_heads + h) * D;
      oracle_rotate(query, a->head_dim, q_norm, a->eps, rotation, a->scale);
    }
    const uint32_t s = sequence_of(c, row);
    for (uint32_t g = 0; g < a->kv_heads; g++) {
      const size_t at = (m * a->kv_heads + g) * D;
      oracle_rotate((float *)k.at + at, a->head_dim, k_norm, a->eps, rotation, 1);
      oracle_store_kv(a, expected[s][row->position / DP_PAGE].at, g, row->position % DP_PAGE,
                      (float *)k.at + at, (float *)c->v.at + at);
    }
  }
  arena arena = make_arena(one_in(2) ? 1 : random_between(2, 9));
  const dp_op op = op_of(c, DP_OP_ROTATE);
  run_alone(&arena, &op, 1);
  check(same_floats(c->q.at, q.at, q.bytes / sizeof(float)), "rotate D %u: queries differ", a->head_dim);
  for (uint32_t s = 0; s < c->sequences; s++) {
    for (uint32_t p = 0; p * DP_PAGE < c->lengths[s]; p++) {
      check(same_pages(c, &c->pages[s][p], &expected[s][p]), "rotate D %u, type %u: page %u differs",
            a->head_dim, a->cache_type, p);
      free_block(&expected[s][p]);
    }
  }
  free_block(&q), free_block(&k);
  free_arena(&arena);
}

static void test_attend(attention_case *c) {
  dp_attention *a = &c->attention;
  const size_t D = a->head_dim, count = c->m * a->query_heads * D;
  block expected = make_input(count * sizeof(float), 4);
  for (uint32_t i = 0; i < c->m * a->query_heads; i++) {
    oracle_attend(a, row_of(c, i / a->query_heads), i % a->query_heads, (float *)c->q.at + i * D,
                  (float *)expected.at + i * D);
  }
  const dp_op ops[] = {op_of(c, DP_OP_ATTEND), op_of(c, DP_OP_MERGE)};
  for (a->split = 0; a->split < 2; a->split++) {
    arena arena = make_arena(one_in(2) ? 1 : random_between(2, 9));
    memset(c->out.at, 0x5b, c->out.bytes);
    run_alone(&arena, ops, 1 + a->split);
    check(same_floats(c->out.at, expected.at, count),
          "attend %u rows, heads %u/%u, D %u, window %u, type %u, split %u differs", c->m, a->query_heads,
          a->kv_heads, a->head_dim, a->window, a->cache_type, a->split);
    check(edges_hold(&c->out) && edges_hold(&c->parts), "attend D %u wrote beside its memory", a->head_dim);
    free_arena(&arena);
  }
  free_block(&expected);
}

/* A row whose position has no rotation, or which sees a page that is not there, is named, and nothing is read. */
static void test_bad_row(attention_case *c) {
  dp_attention *a = &c->attention;
  const uint32_t bad = random_between(0, c->m - 1);
  const dp_row sound = *row_of(c, bad);
  page_table table = c->tables[sequence_of(c, &sound)];
  const uint32_t page = sound.position / DP_PAGE;
  row_of(c, bad)->pages = (uint64_t)(uintptr_t)&table;
  const dp_op_kind kinds[] = {DP_OP_ROTATE, DP_OP_ATTEND, DP_OP_ATTEND, DP_OP_MERGE};
  for (uint32_t i = 0; i < 4; i++) {
    a->split = i >= 2;
    const uint32_t way = random_between(1, kinds[i] == DP_OP_MERGE ? 4 : 3);
    if (way == 1) row_of(c, bad)->position = one_in(2) ? a->positions : UINT32_MAX;
    if (way == 2) table.count = page;
    if (way == 3) table.at[page] = 0;
    if (way == 4) a->part_pages = page;
    arena arena = make_arena(random_between(1, 4));
    const dp_op op = op_of(c, kinds[i]);
    const uint32_t fault = atomic_load(&slot_at(&arena, run_alone(&arena, &op, 1))->fault);
    /* too few parts are too few for others as well */
    check(way == 4 ? fault >= DP_BAD_ROW : fault == (DP_BAD_ROW | bad), "op %d, way %u: fault %x of row %u",
          (int)kinds[i], way, fault, bad);
    free_arena(&arena);
    row_of(c, bad)->position = sound.position;
    table = c->tables[sequence_of(c, &sound)];
    a->part_pages = MOST_PAGES;
  }
  *row_of(c, bad) = sound;
}

/* Positions of a sequence may stand only once in what is rotated: two rows would write the same place. */
static void make_positions_differ(attention_case *c) {
  bool taken[MOST_SEQUENCES][MOST_POSITIONS] = {0};
  uint32_t kept = 0;
  for (uint32_t m = 0; m < c->m; m++) {
    const dp_row row = *row_of(c, m);
    bool *mark = &taken[sequence_of(c, &row)][row.position];
    if (!*mark) *row_of(c, kept++) = row;
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
  test_bad_row(c);
  free_case(c);
}

void test_attention(void) {
  for (int i = 0; i < CASES; i++) attend_case();
  report("attention %s", dp_isa());
}
