/*
 * gemm_s8_64x64c4_amx.c: up to 64 rows times a block. Four tiles are sums of 32 rows x 32 channels, two hold
 * activations, two weights: a load per multiply. k goes by in long turns: shorter ones, whose tiles would
 * stay in the L1 cache, were measured to be slower, for sums are put away and fetched again in each.
 */
#include <immintrin.h>
#include <stdbool.h>

#include "../kernels.h"
#include "ahead.h"
#include "amx.h"

enum {
  STEP = DP_TILE_BYTES / DP_KR, /* quads of one multiply */
  TURN = 256,                   /* quads until all rows and channels have had theirs */
  GROUP = 2 * DP_TILE_ROWS,     /* rows whose sums are in tiles at once */
  HALF = DP_NR / 2,             /* channels likewise */
  ACC_BYTES = DP_NR * sizeof(int32_t),
};

/* Tiles for `rows` rows and `quads` quads of k at once. */
static void shape_tiles(uint32_t rows, size_t quads) {
  const uint8_t low = rows < DP_TILE_ROWS ? rows : DP_TILE_ROWS, high = rows - low;
  const uint16_t high_bytes = high > 0 ? DP_TILE_BYTES : 0, row_bytes = quads * DP_KR;
  const dp_tile_shapes shapes = {
      .palette = 1,
      .rows = {low, low, high, high, low, high, quads, quads},
      .row_bytes = {DP_TILE_BYTES, DP_TILE_BYTES, high_bytes, high_bytes, row_bytes,
                    high > 0 ? row_bytes : 0, DP_TILE_BYTES, DP_TILE_BYTES},
  };
  DP_SHAPE_TILES(shapes);
}

/* acc = from + x * w for a group of rows and half a block. */
static inline __attribute__((always_inline)) void multiply(const uint8_t *x, size_t stride,
                                                           const bool tall, const int8_t *w,
                                                           size_t steps, const int32_t *from,
                                                           size_t from_bytes, int32_t *acc) {
  const char *sums = (const char *)from;
  DP_LOAD_TILE(0, sums, from_bytes);
  DP_LOAD_TILE(1, sums + DP_TILE_BYTES, from_bytes);
  if (tall) {
    DP_LOAD_TILE(2, sums + DP_TILE_ROWS * from_bytes, from_bytes);
    DP_LOAD_TILE(3, sums + DP_TILE_ROWS * from_bytes + DP_TILE_BYTES, from_bytes);
  }
  for (size_t s = 0; s < steps; s++, x += DP_TILE_BYTES, w += STEP * DP_QUAD_BYTES) {
    DP_LOAD_TILE(6, w, DP_QUAD_BYTES);
    DP_LOAD_TILE(4, x, stride);
    DP_MULTIPLY_TILES(0, 4, 6);
    DP_LOAD_TILE(7, w + DP_TILE_BYTES, DP_QUAD_BYTES);
    DP_MULTIPLY_TILES(1, 4, 7);
    if (tall) {
      DP_LOAD_TILE(5, x + DP_TILE_ROWS * stride, stride);
      DP_MULTIPLY_TILES(2, 5, 6);
      DP_MULTIPLY_TILES(3, 5, 7);
    }
  }
  DP_STORE_TILE(0, acc, ACC_BYTES);
  DP_STORE_TILE(1, acc + DP_COLUMN, ACC_BYTES);
  if (tall) {
    DP_STORE_TILE(2, acc + DP_TILE_ROWS * DP_NR, ACC_BYTES);
    DP_STORE_TILE(3, acc + DP_TILE_ROWS * DP_NR + DP_COLUMN, ACC_BYTES);
  }
}

/* One turn of `groups` groups, each as the tiles are shaped. */
static void turn(const uint8_t *x, size_t stride, uint32_t groups, bool tall, const int8_t *w,
                 size_t steps, const int32_t *from, size_t from_bytes, int32_t *acc) {
  for (uint32_t g = 0; g < groups; g++) {
    for (int c = 0; c < DP_NR; c += HALF) {
      const int32_t *sums = from + g * GROUP * from_bytes / sizeof *from + c;
      int32_t *to = acc + g * GROUP * DP_NR + c;
      if (tall) {
        multiply(x + g * GROUP * stride, stride, true, w + c * DP_KR, steps, sums, from_bytes, to);
      } else {
        multiply(x, stride, false, w + c * DP_KR, steps, sums, from_bytes, to);
      }
    }
  }
}

/* `groups` groups of `rows` rows each, for one only if they are fewer than GROUP. */
static void panel(const uint8_t *x, size_t stride, uint32_t groups, uint32_t rows, const int8_t *w,
                  size_t quads, const int32_t *offset, int32_t *acc, const int8_t *ahead) {
  const bool tall = rows > DP_TILE_ROWS;
  const size_t whole = quads / STEP * STEP;
  /* the first sums are one row for all */
  const int32_t *from = offset;
  size_t from_bytes = 0;
  if (whole > 0) shape_tiles(rows, STEP);
  for (size_t q = 0; q < whole; q += TURN) {
    const size_t count = whole - q < TURN ? whole - q : TURN;
    for (size_t i = 0; i < count; i++) _mm_prefetch(dp_line_ahead(ahead, q + i), _MM_HINT_T1);
    turn(x + q * DP_KR, stride, groups, tall, w + q * DP_QUAD_BYTES, count / STEP, from, from_bytes, acc);
    from = acc;
    from_bytes = ACC_BYTES;
  }
  if (whole < quads) {
    shape_tiles(rows, quads - whole);
    turn(x + whole * DP_KR, stride, groups, tall, w + whole * DP_QUAD_BYTES, 1, from, from_bytes, acc);
  }
}

void dp_gemm_s8_64x64c4_amx(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                            const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  /* activations are stored as q + 128, so 128 * colSum is taken off beforehand; sums may wrap */
  _Alignas(64) int32_t offset[DP_NR];
  for (int c = 0; c < DP_NR; c++) offset[c] = (int32_t)(-128u * (uint32_t)col_sum[c]);
  const uint32_t groups = rows / GROUP, whole = groups * GROUP;
  if (groups > 0) panel(xq, stride, groups, GROUP, w, quads, offset, acc, ahead);
  if (whole < rows) {
    panel((const uint8_t *)xq + whole * stride, stride, 1, rows - whole, w, quads, offset,
          acc + whole * DP_NR, ahead);
  }
  DP_RELEASE_TILES();
}
