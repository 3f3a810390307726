/* attention.c: the ops between a layer's projections: keys and values into pages, and attention to them. */
#include <string.h>

#include "op.h"

/*
 * Queries that share what is loaded of a page: so many that loading costs little, so few that what is
 * kept of them stays near.
 */
enum { TILE_QUERIES = 32, TILES_PER_THREAD = 4, FLOAT_MACS = 16, ROWS_AHEAD = 2 };

static const dp_attention *attention_of(const dp_op *op) { return POINTER(const dp_attention, op->attention.layer); }

static const dp_row *rows_of(const dp_op *op) { return POINTER(const dp_row, op->attention.rows); }

static dp_kv_head head_at(const dp_attention *a, const dp_row *row, uint32_t page, uint64_t head) {
  const dp_type type = (dp_type)a->cache_type;
  const uint64_t at = POINTER(const dp_pages, row->pages)->at[page] + a->page_offset;
  return (dp_kv_head){
      .at = POINTER(char, at + head * dp_kv_head_bytes(type, a->head_dim)),
      .type = type,
      .head_dim = a->head_dim,
  };
}

/* ---- what a row sees ---------------------------------------------------------------------------- */

/* Positions [first, last). */
typedef struct span {
  uint32_t first, last;
} span;

static span seen_by(const dp_attention *a, const dp_row *row) {
  const uint32_t last = row->position + 1;
  return (span){.first = a->window == 0 || a->window > last ? 0 : last - a->window, .last = last};
}

static uint32_t first_page(span seen) { return seen.first / DP_PAGE; }
static uint32_t last_page(span seen) { return (seen.last - 1) / DP_PAGE; }

/* What it sees of a page, counted from the page's start; empty if nothing. */
static span seen_of_page(span seen, uint32_t page) {
  const uint32_t start = page * DP_PAGE;
  if (seen.last <= start || seen.first >= start + DP_PAGE) return (span){0, 0};
  return (span){
      .first = seen.first > start ? seen.first - start : 0,
      .last = seen.last < start + DP_PAGE ? seen.last - start : DP_PAGE,
  };
}

/* Whether a row's position has a rotation, and parts where there are any, and pages [first, end) are there. */
static bool are_there(const dp_place *place, uint64_t m, uint32_t first, uint32_t end) {
  const dp_attention *a = attention_of(place->op);
  const dp_row *row = &rows_of(place->op)[m];
  const dp_pages *pages = POINTER(const dp_pages, row->pages);
  const uint32_t own_page = row->position / DP_PAGE;
  bool there = row->position < a->positions && own_page < pages->count;
  if (a->split) there &= own_page < a->part_pages;
  for (uint32_t page = first; there && page < end; page++) there = pages->at[page] != 0;
  if (!there) dp_note_fault(place, DP_BAD_ROW | (uint32_t)m);
  return there;
}

/* The same for all that it sees. */
static bool is_there(const dp_place *place, uint64_t m) {
  const span seen = seen_by(attention_of(place->op), &rows_of(place->op)[m]);
  return are_there(place, m, first_page(seen), last_page(seen) + 1);
}

/* ---- ROTATE: q, k, v -> q, pages; pieces are a query or kv head times a row --------------------- */

/* Asks for a head's floats of a row that comes soon: rows lie too far apart for the hardware to ask by itself. */
static void ask_for(uint64_t matrix, uint64_t row, uint32_t heads, uint64_t head, uint32_t head_dim) {
  const char *at = POINTER(const char, matrix) + (row * heads + head) * head_dim * sizeof(float);
  for (size_t line = 0; line < head_dim * sizeof(float); line += DP_CACHE_LINE) __builtin_prefetch(at + line, 1);
}

static void ask_for_head(const dp_attention *a, uint64_t row, uint64_t head) {
  if (head < a->query_heads) {
    ask_for(a->q, row, a->query_heads, head, a->head_dim);
  } else {
    ask_for(a->k, row, a->kv_heads, head - a->query_heads, a->head_dim);
    ask_for(a->v, row, a->kv_heads, head - a->query_heads, a->head_dim);
  }
}

static uint64_t run_rotate(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_attention *a = attention_of(op);
  const dp_kernels *kernels = place->kernels;
  const size_t D = a->head_dim;
  for (uint64_t piece = first; piece < last; piece++) {
    /* rows of one head follow each other, because their keys lie side by side */
    const uint64_t head = piece / op->m, m = piece % op->m;
    const dp_row *row = &rows_of(op)[m];
    const uint32_t page = row->position / DP_PAGE;
    if (m + ROWS_AHEAD < op->m) ask_for_head(a, m + ROWS_AHEAD, head);
    if (!are_there(place, m, page, page + 1)) continue;
    const float *rotation = POINTER(const float, a->rotation) + row->position * D;
    if (head < a->query_heads) {
      float *q = POINTER(float, a->q) + (m * a->query_heads + head) * D;
      kernels->rotate(q, a->head_dim, POINTER(const float, a->q_norm), a->eps, rotation, a->scale);
      continue;
    }
    const uint64_t kv_head = head - a->query_heads;
    float *k = POINTER(float, a->k) + (m * a->kv_heads + kv_head) * D;
    const float *v = POINTER(const float, a->v) + (m * a->kv_heads + kv_head) * D;
    kernels->rotate(k, a->head_dim, POINTER(const float, a->k_norm), a->eps, rotation, 1);
    kernels->store_kv(k, v, head_at(a, row, row->position / DP_PAGE, kv_head), row->position % DP_PAGE);
  }
  return 0;
}

static uint64_t rotate_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const dp_attention *a = attention_of(op);
  return (uint64_t)op->m * (a->query_heads + a->kv_heads);
}

static uint64_t rotate_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)attention_of(op)->head_dim * 64;
}

const dp_op_type dp_op_rotate = {.pieces = rotate_pieces, .cost = rotate_cost, .run = run_rotate, .grain = 1};

/* ---- ATTEND, split: q, pages -> parts; pieces are a row times a page times a kv head ------------- */

static uint32_t group_of(const dp_attention *a) { return a->query_heads / a->kv_heads; }

static size_t part_floats(const dp_attention *a) { return DP_PART_VALUES + (size_t)a->head_dim; }

/* The part of one query head and page. */
static float *part_at(const dp_attention *a, uint64_t m, uint64_t head, uint64_t page) {
  const uint64_t index = (m * a->query_heads + head) * a->part_pages + page;
  return POINTER(float, a->parts) + index * part_floats(a);
}

/* What to ask for while a page is read: the page behind it, which may be missing where it is not to be seen. */
static uint32_t page_ahead(const dp_row *row, uint32_t page, uint32_t last) {
  return page < last && POINTER(const dp_pages, row->pages)->at[page + 1] != 0 ? page + 1 : page;
}

static void run_page(const dp_place *place, uint64_t m, uint32_t page, uint32_t kv_head) {
  const dp_attention *a = attention_of(place->op);
  const dp_row *row = &rows_of(place->op)[m];
  const span seen = seen_of_page(seen_by(a, row), page);
  const bool sees_any = seen.first < seen.last;
  if (!are_there(place, m, page, page + sees_any) || !sees_any) return;
  const uint64_t head = (uint64_t)kv_head * group_of(a);
  /* the piece that comes next: all heads of a page follow each other, then those of the next page */
  const bool is_last_head = kv_head + 1 == a->kv_heads;
  const uint32_t next_page = is_last_head ? page_ahead(row, page, last_page(seen_by(a, row))) : page;
  const dp_page_queries queries = {
      .rows = 1,
      .group = group_of(a),
      .first = &seen.first,
      .last = &seen.last,
      .q = POINTER(const float, a->q) + (m * a->query_heads + head) * a->head_dim,
      .scores = dp_scratch_floats(place),
      .parts = part_at(a, m, head, page),
      .part_stride = a->part_pages * part_floats(a),
      .ahead = head_at(a, row, next_page, is_last_head ? 0 : kv_head + 1).at,
  };
  place->kernels->attend_page(&queries, head_at(a, row, page, kv_head));
}

/* ---- ATTEND, whole: q, pages -> out; pieces are a tile of rows times a kv head -------------------- */

/* Every thread should get a few tiles. */
static uint32_t tile_rows(const dp_op *op, uint32_t threads) {
  const dp_attention *a = attention_of(op);
  const uint32_t most = dp_at_least(TILE_QUERIES / group_of(a), 1);
  const uint32_t share = dp_at_least((uint64_t)op->m * a->kv_heads / (TILES_PER_THREAD * threads), 1);
  return share < most ? share : most;
}

static uint64_t tiles_of(const dp_op *op, uint32_t threads) { return dp_divide_up(op->m, tile_rows(op, threads)); }

/* How many rows from the first on are of one sequence, each further on than the one before. */
static uint32_t stretch_of(const dp_row *rows, uint32_t count) {
  uint32_t n = 1;
  while (n < count && rows[n].pages == rows[0].pages && rows[n].position > rows[n - 1].position) n++;
  return n;
}

/* Attention of a stretch of rows, for one kv head; its memory is the worker's scratch. */
typedef struct stretch {
  const dp_attention *attention;
  const dp_row *row; /* the first */
  uint64_t m;        /* its number */
  uint32_t rows, group, kv_head;
  float *q;                       /* [queries][D] */
  float *scores, *parts, *totals; /* see dp_page_queries; totals lie as parts do */
  size_t part_stride;
} stretch;

enum { LINE_FLOATS = DP_CACHE_LINE / sizeof(float) };

static size_t whole_lines(size_t floats) { return dp_divide_up(floats, LINE_FLOATS) * LINE_FLOATS; }

static stretch start_stretch(const dp_place *place, uint64_t m, uint32_t rows, uint32_t kv_head) {
  const dp_attention *a = attention_of(place->op);
  const uint32_t group = group_of(a), queries = rows * group;
  float *q = dp_scratch_floats(place), *scores = q + whole_lines((size_t)queries * a->head_dim);
  /* their values begin where a cache line does: wide vectors would lie in two lines each */
  const size_t part_stride = whole_lines(part_floats(a));
  float *parts = scores + (size_t)queries * DP_PAGE + LINE_FLOATS - DP_PART_VALUES;
  return (stretch){
      .attention = a,
      .row = &rows_of(place->op)[m],
      .m = m,
      .rows = rows,
      .group = group,
      .kv_head = kv_head,
      .q = q,
      .scores = scores,
      .parts = parts,
      .totals = parts + queries * part_stride,
      .part_stride = part_stride,
  };
}

/* Where a row's queries of this kv head begin in q and in out, floats. */
static size_t queries_at(const stretch *s, uint32_t row) {
  const dp_attention *a = s->attention;
  return ((s->m + row) * a->query_heads + (size_t)s->kv_head * s->group) * a->head_dim;
}

static void gather_queries(const stretch *s) {
  const size_t floats = (size_t)s->group * s->attention->head_dim;
  for (uint32_t r = 0; r < s->rows; r++) {
    const float *q = POINTER(const float, s->attention->q) + queries_at(s, r);
    memcpy(s->q + r * floats, q, floats * sizeof(float));
  }
}

/* Adds what a page gives to the totals of those rows that see it; `next` is the page that follows. */
static void add_page(const dp_kernels *kernels, const stretch *s, uint32_t page, uint32_t next) {
  const dp_attention *a = s->attention;
  uint32_t first[TILE_QUERIES], last[TILE_QUERIES];
  /* windows move on with the rows: those that see the page stand together */
  uint32_t from = 0, to = s->rows;
  while (from < to && last_page(seen_by(a, &s->row[from])) < page) from++;
  while (from < to && first_page(seen_by(a, &s->row[to - 1])) > page) to--;
  if (from == to) return;
  for (uint32_t r = from; r < to; r++) {
    const span seen = seen_of_page(seen_by(a, &s->row[r]), page);
    first[r] = seen.first;
    last[r] = seen.last;
  }
  const dp_page_queries queries = {
      .rows = to - from,
      .group = s->group,
      .first = first + from,
      .last = last + from,
      .q = s->q + (size_t)from * s->group * a->head_dim,
      .scores = s->scores,
      .parts = s->parts,
      .part_stride = s->part_stride,
      .ahead = head_at(a, s->row, next, s->kv_head).at,
  };
  kernels->attend_page(&queries, head_at(a, s->row, page, s->kv_head));
  for (uint32_t i = from * s->group; i < to * s->group; i++) {
    float *total = s->totals + i * s->part_stride;
    const float *part = s->parts + (i - from * s->group) * s->part_stride;
    if (first_page(seen_by(a, &s->row[i / s->group])) == page) {
      memcpy(total, part, part_floats(a) * sizeof(float));
    } else {
      kernels->merge_part(total, part, a->head_dim);
    }
  }
}

/* All pages in turn. */
static void run_stretch(const dp_place *place, const stretch *s) {
  const dp_attention *a = s->attention;
  const uint32_t end = last_page(seen_by(a, &s->row[s->rows - 1]));
  gather_queries(s);
  for (uint32_t page = first_page(seen_by(a, s->row)); page <= end; page++) {
    add_page(place->kernels, s, page, page_ahead(s->row, page, end));
  }
  for (uint32_t i = 0; i < s->rows * s->group; i++) {
    const size_t at = queries_at(s, i / s->group) + (size_t)(i % s->group) * a->head_dim;
    place->kernels->normalize_part(s->totals + i * s->part_stride, a->head_dim, POINTER(float, a->out) + at);
  }
}

static void run_tile(const dp_place *place, uint64_t tile, uint32_t kv_head) {
  const dp_op *op = place->op;
  const uint32_t rows = tile_rows(op, place->threads);
  const uint64_t end = (tile + 1) * rows < op->m ? (tile + 1) * rows : op->m;
  for (uint64_t m = tile * rows; m < end; m++) {
    if (!is_there(place, m)) return;
  }
  for (uint64_t m = tile * rows, n; m < end; m += n) {
    n = stretch_of(&rows_of(op)[m], (uint32_t)(end - m));
    const stretch s = start_stretch(place, m, (uint32_t)n, kv_head);
    run_stretch(place, &s);
  }
}

static uint64_t run_attend(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_attention *a = attention_of(place->op);
  const uint64_t tiles = tiles_of(place->op, place->threads);
  for (uint64_t piece = first; piece < last; piece++) {
    if (a->split) {
      /* heads of one page follow each other, as they do in memory */
      const uint64_t rest = piece / a->kv_heads;
      run_page(place, rest / a->part_pages, (uint32_t)(rest % a->part_pages), piece % a->kv_heads);
    } else {
      run_tile(place, piece % tiles, (uint32_t)(piece / tiles));
    }
  }
  return 0;
}

static uint64_t attend_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const dp_attention *a = attention_of(op);
  return a->kv_heads * (a->split ? (uint64_t)op->m * a->part_pages : tiles_of(op, threads));
}

static uint64_t attend_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const dp_attention *a = attention_of(op);
  const uint64_t position_macs = 2ull * a->head_dim * group_of(a) * FLOAT_MACS;
  if (a->split) return position_macs * DP_PAGE;
  uint64_t positions = 0;
  for (uint32_t m = 0; m < op->m; m++) {
    const span seen = seen_by(a, &rows_of(op)[m]);
    positions += seen.last - seen.first;
  }
  return position_macs * positions / dp_at_least(tiles_of(op, threads), 1);
}

const dp_op_type dp_op_attend = {.pieces = attend_pieces, .cost = attend_cost, .run = run_attend, .grain = 1};

/* ---- MERGE: parts -> out; pieces are a row times a query head ------------------------------------- */

static uint64_t run_merge(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_attention *a = attention_of(place->op);
  float *total = dp_scratch_floats(place);
  for (uint64_t piece = first; piece < last; piece++) {
    const uint64_t m = piece / a->query_heads, head = piece % a->query_heads;
    const span seen = seen_by(a, &rows_of(place->op)[m]);
    if (!is_there(place, m)) continue;
    memcpy(total, part_at(a, m, head, first_page(seen)), part_floats(a) * sizeof(float));
    for (uint32_t page = first_page(seen) + 1; page <= last_page(seen); page++) {
      place->kernels->merge_part(total, part_at(a, m, head, page), a->head_dim);
    }
    place->kernels->normalize_part(total, a->head_dim, POINTER(float, a->out) + piece * a->head_dim);
  }
  return 0;
}

static uint64_t merge_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->m * attention_of(op)->query_heads;
}

static uint64_t merge_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const dp_attention *a = attention_of(op);
  return (uint64_t)a->head_dim * a->part_pages * FLOAT_MACS;
}

const dp_op_type dp_op_merge = {.pieces = merge_pieces, .cost = merge_cost, .run = run_merge, .grain = 1};
