/*
 * multiply.h: sums[r][n] += sum_i a[r][i] * float(b[i][n]), i in order, each step one float32 operation:
 * few rows r, sixteen columns n to a group. Tiles of rows x groups are summed up in registers.
 */
#ifndef DP_MULTIPLY_H
#define DP_MULTIPLY_H

#include "widen.h"

/* Strides of a and sums count floats, those of b bytes. */
typedef struct dp_product {
  size_t rows, groups, count;
  const float *a;
  size_t a_stride; /* from row to row */
  const char *b;   /* DP_F32, DP_BF16 or DP_S8 */
  size_t b_step;   /* from i to i + 1 */
  size_t b_group;  /* from group to group */
  float *sums;
  size_t sums_stride; /* from row to row; groups lie side by side */
  const char *ahead;  /* as many bytes as b has, which will be read soon: they are asked for on the way */
} dp_product;

/* The largest tile of which all sums, a row of b and a factor find registers. */
#if DP_WIDTH == 16
enum { TILE_ROWS = 4, TILE_GROUPS = 4 };
#elif DP_WIDTH == 8
enum { TILE_ROWS = 4, TILE_GROUPS = 1 };
#else
enum { TILE_ROWS = 2, TILE_GROUPS = 1 };
#endif

enum { GROUP = 16, GROUP_VECTORS = GROUP / DP_WIDTH, TILE_VECTORS = TILE_GROUPS * GROUP_VECTORS };

#define DP_INLINE static inline __attribute__((always_inline))

DP_INLINE dp_vector dp_widen_vector(const char *b, dp_type type) {
  return type == DP_BF16 ? dp_widen_bf16(b) : type == DP_S8 ? dp_widen_s8(b) : dp_load_vector(b);
}

/* `rows`, `groups` and `type` are known to the compiler. */
DP_INLINE void dp_multiply_tile(const dp_product *p, size_t row, size_t group, int rows, int groups,
                                dp_type type) {
  const size_t vector_bytes = DP_WIDTH * (type == DP_F32 ? 4 : type == DP_BF16 ? 2 : 1);
  const size_t step_bytes = groups * GROUP_VECTORS * vector_bytes;
  const size_t a_stride = p->a_stride, b_step = p->b_step, b_group = p->b_group;
  const float *a = p->a + row * a_stride;
  const char *b = p->b + group * b_group, *ahead = p->ahead + group * p->count * (step_bytes / groups);
  float *to = p->sums + row * p->sums_stride + group * GROUP;
  const int vectors = groups * GROUP_VECTORS;
  dp_vector sums[TILE_ROWS][TILE_VECTORS];
  for (int r = 0; r < rows; r++) memcpy(sums[r], to + r * p->sums_stride, vectors * sizeof(dp_vector));
  for (size_t i = 0; i < p->count; i++, b += b_step, ahead += step_bytes) {
    /* into the L2 cache: the L1 is full of what is read before it */
    for (size_t line = 0; line < step_bytes; line += DP_CACHE_LINE) __builtin_prefetch(ahead + line, 0, 2);
    dp_vector wide[TILE_VECTORS];
    for (int v = 0; v < vectors; v++) {
      wide[v] = dp_widen_vector(b + v / GROUP_VECTORS * b_group + v % GROUP_VECTORS * vector_bytes, type);
    }
    for (int r = 0; r < rows; r++) {
      for (int v = 0; v < vectors; v++) sums[r][v] += a[r * a_stride + i] * wide[v];
    }
  }
  for (int r = 0; r < rows; r++) memcpy(to + r * p->sums_stride, sums[r], vectors * sizeof(dp_vector));
}

/* Tiles for any number of rows, as even as they can be. */
DP_INLINE void dp_multiply_typed(const dp_product *p, dp_type type) {
#define TILE(r, g)                                                                        \
  case (r) * 8 + (g):                                                                     \
    if (r <= TILE_ROWS && g <= TILE_GROUPS) dp_multiply_tile(p, row, group, r, g, type);  \
    break;
  const size_t panels = (p->rows + TILE_ROWS - 1) / TILE_ROWS;
  for (size_t group = 0, groups; group < p->groups; group += groups) {
    groups = p->groups - group < TILE_GROUPS ? p->groups - group : TILE_GROUPS;
    for (size_t panel = 0; panel < panels; panel++) {
      const size_t row = p->rows * panel / panels, rows = p->rows * (panel + 1) / panels - row;
      switch (rows * 8 + groups) {
        TILE(1, 1) TILE(1, 2) TILE(1, 3) TILE(1, 4)
        TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(2, 4)
        TILE(3, 1) TILE(3, 2) TILE(3, 3) TILE(3, 4)
        TILE(4, 1) TILE(4, 2) TILE(4, 3) TILE(4, 4)
      }
    }
  }
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
static void dp_multiply_columns(const dp_product *p, dp_type type, size_t columns, size_t size) {
  for (size_t r = 0; r < p->rows; r++) {
    float *sums = p->sums + r * p->sums_stride;
    for (size_t i = 0; i < p->count; i++) {
      const float a = p->a[r * p->a_stride + i];
      for (size_t n = 0; n < columns; n++) sums[n] += a * dp_widen(p->b + i * p->b_step + n * size, type);
    }
  }
}

#endif
