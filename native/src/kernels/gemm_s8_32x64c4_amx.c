/*
 * gemm_s8_32x64c4_amx.c: up to 32 rows times a block, one half of the block after the other. Four tiles are
 * sums of 32 rows x 32 channels, two hold activations, two weights: a load per multiply, which keeps up
 * from the L1 cache. From the L2 cache come 0.7 lines a cycle, a third too few. To put sums away, so that
 * tiles of fewer k stay in the L1 cache, was measured to cost more than that; to ask for tiles early helps.
 */
#include <immintrin.h>
#include <stdbool.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "ahead.h"
#include "amx.h"

enum {
  STEP = DP_TILE_BYTES / DP_KR, /* quads of one multiply */
  STEP_BYTES = STEP * DP_QUAD_BYTES,
  ROWS = 2 * DP_TILE_ROWS,
  HALF = DP_NR / 2, /* channels */
  HALVES = 2,
  ACC_BYTES = DP_NR * sizeof(int32_t),
  X_EARLY = 2, /* steps from asking for tiles to loading them */
  W_EARLY = 1,
};

/* Rows, a block, and how many steps of k they are multiplied for. */
typedef struct panel {
  const uint8_t *x;
  size_t stride;
  const int8_t *w;
  size_t steps;
} panel;

/* rows << 32 | quads that this thread's tiles are shaped for, or 0: shaping them takes as long as ten multiplies. */
static _Thread_local uint64_t shaped;

/* Tiles for `rows` rows and `quads` quads of k at once. */
static void shape_tiles(uint32_t rows, size_t quads) {
  const uint64_t wanted = (uint64_t)rows << 32 | quads;
  if (shaped == wanted) return;
  shaped = wanted;
  const uint8_t low = rows < DP_TILE_ROWS ? rows : DP_TILE_ROWS, high = rows - low;
  const uint16_t high_bytes = high > 0 ? DP_TILE_BYTES : 0, row_bytes = quads * DP_KR;
  const dp_tile_shapes shapes = {
      .palette = 1,
      .rows = {low, low, high, high, low, high, quads, quads},
      .row_bytes = {DP_TILE_BYTES, DP_TILE_BYTES, high_bytes, high_bytes, row_bytes, high > 0 ? row_bytes : 0,
                    DP_TILE_BYTES, DP_TILE_BYTES},
  };
  DP_SHAPE_TILES(shapes);
}

/* Asks for the lines of a tile. */
DP_INLINE void ask(const void *tile, size_t stride) {
  DP_UNROLL for (int i = 0; i < DP_TILE_ROWS; i++) _mm_prefetch((const char *)tile + i * stride, _MM_HINT_T0);
}

/* Where a step's weights are; past the last one the next panel begins, with the same block. */
static inline const int8_t *w_at(const panel *panel, int half, size_t step) {
  if (step >= panel->steps) {
    half = !half;
    step -= panel->steps;
  }
  return panel->w + half * HALF * DP_KR + step * STEP_BYTES;
}

/* Likewise its activations, or NULL: the second half finds most of them where the first has left them. */
static inline const uint8_t *x_at(const panel *panel, int half, size_t step) {
  if (step < panel->steps) return half == 0 ? panel->x + step * DP_TILE_BYTES : NULL;
  if (half == 0) return NULL;
  return panel->x + ROWS * panel->stride + (step - panel->steps) * DP_TILE_BYTES;
}

DP_INLINE void step(const panel *panel, int half, size_t s, const bool tall) {
  const size_t stride = panel->stride;
  const uint8_t *x = panel->x + s * DP_TILE_BYTES, *x_early = x_at(panel, half, s + X_EARLY);
  const int8_t *w = w_at(panel, half, s), *w_early = w_at(panel, half, s + W_EARLY);
  DP_LOAD_TILE(6, w, DP_QUAD_BYTES);
  DP_LOAD_TILE(4, x, stride);
  DP_LOAD_TILE(7, w + DP_TILE_BYTES, DP_QUAD_BYTES);
  if (tall) DP_LOAD_TILE(5, x + DP_TILE_ROWS * stride, stride);
  if (x_early != NULL) ask(x_early, stride);
  ask(w_early, DP_QUAD_BYTES);
  DP_MULTIPLY_TILES(0, 4, 6);
  DP_MULTIPLY_TILES(1, 4, 7);
  if (x_early != NULL && tall) ask(x_early + DP_TILE_ROWS * stride, stride);
  ask(w_early + DP_TILE_BYTES, DP_QUAD_BYTES);
  if (tall) {
    DP_MULTIPLY_TILES(2, 5, 6);
    DP_MULTIPLY_TILES(3, 5, 7);
  }
}

/* acc = from + x * w; asks for a line of `ahead` per quad. */
DP_INLINE void multiply(const panel *panel, const bool tall, const int32_t *from, size_t from_bytes, int32_t *acc,
                        const int8_t *ahead) {
  const size_t lines = STEP / HALVES; /* of each step */
  for (int half = 0; half < HALVES; half++, from += HALF, acc += HALF) {
    const char *sums = (const char *)from;
    DP_LOAD_TILE(0, sums, from_bytes);
    DP_LOAD_TILE(1, sums + DP_TILE_BYTES, from_bytes);
    if (tall) {
      DP_LOAD_TILE(2, sums + DP_TILE_ROWS * from_bytes, from_bytes);
      DP_LOAD_TILE(3, sums + DP_TILE_ROWS * from_bytes + DP_TILE_BYTES, from_bytes);
    }
    for (size_t s = 0; s < panel->steps; s++) {
      const size_t line = (half * panel->steps + s) * lines;
      for (size_t i = 0; i < lines; i++) _mm_prefetch(dp_line_ahead(ahead, line + i), _MM_HINT_T1);
      step(panel, half, s, tall);
    }
    DP_STORE_TILE(0, acc, ACC_BYTES);
    DP_STORE_TILE(1, acc + DP_COLUMN, ACC_BYTES);
    if (tall) {
      DP_STORE_TILE(2, acc + DP_TILE_ROWS * DP_NR, ACC_BYTES);
      DP_STORE_TILE(3, acc + DP_TILE_ROWS * DP_NR + DP_COLUMN, ACC_BYTES);
    }
  }
}

void dp_gemm_s8_32x64c4_amx(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                            const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  /* activations are stored as q + 128, so 128 * colSum is taken off beforehand; sums may wrap */
  _Alignas(64) int32_t offset[DP_NR];
  for (int c = 0; c < DP_NR; c++) offset[c] = (int32_t)(-128u * (uint32_t)col_sum[c]);
  const bool tall = rows > DP_TILE_ROWS;
  const int32_t *from = offset; /* one row for all */
  size_t from_bytes = 0;
  panel panel = {.x = xq, .stride = stride, .w = w, .steps = quads / STEP};
  if (panel.steps > 0) {
    shape_tiles(rows, STEP);
    if (tall) {
      multiply(&panel, true, from, from_bytes, acc, ahead);
    } else {
      multiply(&panel, false, from, from_bytes, acc, ahead);
    }
    panel.x += panel.steps * DP_TILE_BYTES;
    panel.w += panel.steps * STEP_BYTES;
    from = acc;
    from_bytes = ACC_BYTES;
  }
  if (quads % STEP > 0) {
    shape_tiles(rows, quads % STEP);
    panel.steps = 1;
    multiply(&panel, tall, from, from_bytes, acc, ahead);
  }
}

void dp_end_gemm_amx(void) {
  if (shaped != 0) DP_RELEASE_TILES();
  shaped = 0;
  _mm_sfence();
}
