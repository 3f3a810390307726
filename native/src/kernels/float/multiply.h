/*
 * multiply.h: sums[r][n] += sum_i a[r][i] * float(b[i][n]), i in order, each step one float32 operation:
 * few rows r, sixteen columns n to a group. Tiles of rows x groups are summed up in registers.
 */
#ifndef DP_MULTIPLY_H
#define DP_MULTIPLY_H

#include "../../registers.h"
#include "widen.h"

/*
 * Strides of a and sums count floats, those of b bytes. A bundle of b holds P steps i of each column side by
 * side, P = dp_kv_packed(type): b[i][n] is element i % P of column n in bundle i / P.
 */
typedef struct dp_product {
  size_t rows, groups;
  size_t first, last; /* steps [first, last): others may be anything, and are not multiplied */
  const float *a;
  size_t a_stride; /* from row to row */
  const char *b;   /* DP_F32, DP_BF16 or DP_S8 */
  size_t b_bundle; /* from bundle to bundle */
  size_t b_group;  /* from group to group */
  float *sums;
  size_t sums_stride; /* from row to row; groups lie side by side */
  const char *ahead;  /* as many bytes as b has, which will be read soon: they are asked for on the way */
} dp_product;

/* The largest tile of which all sums, a bundle of b and a factor find registers. */
#if DP_WIDTH == 16
enum { TILE_ROWS = 4, TILE_GROUPS = 4 };
#elif DP_WIDTH == 8
enum { TILE_ROWS = 4, TILE_GROUPS = 1 };
#else
enum { TILE_ROWS = 2, TILE_GROUPS = 1 };
#endif

enum { GROUP = 16, GROUP_VECTORS = GROUP / DP_WIDTH, TILE_VECTORS = TILE_GROUPS * GROUP_VECTORS };

/* P at most; how early the L1 is told, as measured. */
enum { MOST_PACKED = 2, BUNDLES_AHEAD = 4 };

/*
 * Has a sum computed here. With sixteen registers gcc would rather keep products of the steps to come, until sums have
 * to go to memory.
 */
#if DP_WIDTH == 8 && !defined(__clang__)
#define DP_COMPUTED(sum) __asm__("" : "+x"(sum))
#else
#define DP_COMPUTED(sum) (void)(sum)
#endif

/* Steps [from, to) of one bundle; a stands at its first. */
DP_INLINE void dp_add_bundle(dp_vector sums[TILE_ROWS][TILE_VECTORS], const float *a, size_t a_stride, const char *b,
                             size_t b_group, int rows, int vectors, dp_type type, int from, int to) {
  const size_t vector_bytes = DP_WIDTH * dp_type_bytes(type) * dp_kv_packed(type);
  dp_vector wide[TILE_VECTORS][MOST_PACKED];
  for (int v = 0; v < vectors; v++) {
    dp_widen_vectors(b + v / GROUP_VECTORS * b_group + v % GROUP_VECTORS * vector_bytes, type, wide[v]);
  }
  for (int i = from; i < to; i++) {
    for (int r = 0; r < rows; r++) {
      for (int v = 0; v < vectors; v++) {
        dp_vector sum = sums[r][v] + a[r * a_stride + i] * wide[v][i];
        DP_COMPUTED(sum);
        sums[r][v] = sum;
      }
    }
  }
}

/* `rows`, `groups` and `type` are known to the compiler. */
DP_INLINE void dp_multiply_tile(const dp_product *p, size_t row, size_t group, int rows, int groups, dp_type type) {
  const size_t P = dp_kv_packed(type), first = p->first, last = p->last;
  const size_t group_bytes = GROUP * P * dp_type_bytes(type), bundle_bytes = groups * group_bytes;
  const size_t a_stride = p->a_stride, b_bundle = p->b_bundle, b_group = p->b_group;
  const int vectors = groups * GROUP_VECTORS;
  const float *a = p->a + row * a_stride;
  const char *b = p->b + group * b_group + first / P * b_bundle;
  const char *ahead = p->ahead + group * (last - first) * (group_bytes / P);
  float *to = p->sums + row * p->sums_stride + group * GROUP;
  dp_vector sums[TILE_ROWS][TILE_VECTORS];
  /* one by one: gcc takes a whole row through the stack */
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < vectors; v++) {
      sums[r][v] = dp_load_vector((const char *)(to + r * p->sums_stride + v * DP_WIDTH));
    }
  }
  size_t i = first;
  if (i % P != 0) {
    dp_add_bundle(sums, a + i - 1, a_stride, b, b_group, rows, vectors, type, 1, P);
    i++, b += b_bundle;
  }
  for (; i + P <= last; i += P, b += b_bundle, ahead += bundle_bytes) {
    for (size_t line = 0; line < bundle_bytes; line += DP_CACHE_LINE) {
      /* into the L2 cache: the L1 is full of what is read before it; from there a few bundles early */
      __builtin_prefetch(ahead + line, 0, 2);
      __builtin_prefetch(b + line / group_bytes * b_group + line % group_bytes + BUNDLES_AHEAD * b_bundle);
    }
    dp_add_bundle(sums, a + i, a_stride, b, b_group, rows, vectors, type, 0, P);
  }
  if (i < last) dp_add_bundle(sums, a + i, a_stride, b, b_group, rows, vectors, type, 0, 1);
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < vectors; v++) memcpy(to + r * p->sums_stride + v * DP_WIDTH, &sums[r][v], sizeof sums[r][v]);
  }
}

/* Tiles for any number of rows, as even as they can be. */
DP_INLINE void dp_multiply_typed(const dp_product *p, dp_type type) {
#define TILE(r, g)                                                                       \
  case (r) * 8 + (g):                                                                    \
    if (r <= TILE_ROWS && g <= TILE_GROUPS) dp_multiply_tile(p, row, group, r, g, type); \
    break;
#define TILES(r) TILE(r, 1) TILE(r, 2) TILE(r, 3) TILE(r, 4)
  const size_t panels = (p->rows + TILE_ROWS - 1) / TILE_ROWS;
  for (size_t group = 0, groups; group < p->groups; group += groups) {
    groups = p->groups - group < TILE_GROUPS ? p->groups - group : TILE_GROUPS;
    for (size_t panel = 0; panel < panels; panel++) {
      const size_t row = p->rows * panel / panels, rows = p->rows * (panel + 1) / panels - row;
      switch (rows * 8 + groups) { TILES(1) TILES(2) TILES(3) TILES(4) }
    }
  }
#undef TILES
#undef TILE
}

static void dp_multiply(const dp_product *p, dp_type type) {
  switch (type) {
    case DP_BF16: dp_multiply_typed(p, DP_BF16); break;
    case DP_S8: dp_multiply_typed(p, DP_S8); break;
    default: dp_multiply_typed(p, DP_F32); break;
  }
}

/* The same for fewer columns than a group has. */
static void dp_multiply_columns(const dp_product *p, dp_type type, size_t columns) {
  const size_t P = dp_kv_packed(type), size = dp_type_bytes(type);
  for (size_t r = 0; r < p->rows; r++) {
    float *sums = p->sums + r * p->sums_stride;
    for (size_t i = p->first; i < p->last; i++) {
      const float a = p->a[r * p->a_stride + i];
      const char *b = p->b + i / P * p->b_bundle + i % P * size;
      for (size_t n = 0; n < columns; n++) sums[n] += a * dp_widen(b + n * P * size, type);
    }
  }
}

#endif
