/* roofline_amx.c: how fast this core can multiply tiles of bytes. */
#include "../kernel_table.h"
#include "amx.h"

uint64_t dp_peak_amx(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 4 };
  _Alignas(64) uint8_t ones[DP_TILE_ROWS * DP_TILE_BYTES];
  _Alignas(64) int32_t sums[DP_TILE_ROWS * DP_COLUMN];
  dp_tile_shapes shapes = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) {
    shapes.rows[tile] = DP_TILE_ROWS;
    shapes.row_bytes[tile] = DP_TILE_BYTES;
  }
  for (size_t i = 0; i < sizeof ones; i++) ones[i] = 1;
  DP_SHAPE_TILES(shapes); /* which also fills them with zeros */
  DP_LOAD_TILE(4, ones, DP_TILE_BYTES);
  DP_LOAD_TILE(5, ones, DP_TILE_BYTES);
  DP_LOAD_TILE(6, ones, DP_TILE_BYTES);
  DP_LOAD_TILE(7, ones, DP_TILE_BYTES);
  for (uint64_t r = 0; r < rounds; r++) {
    DP_MULTIPLY_TILES(0, 4, 6);
    DP_MULTIPLY_TILES(1, 4, 7);
    DP_MULTIPLY_TILES(2, 5, 6);
    DP_MULTIPLY_TILES(3, 5, 7);
  }
  DP_STORE_TILE(0, sums, DP_TILE_BYTES);
  *sink ^= sums[0];
  DP_STORE_TILE(1, sums, DP_TILE_BYTES);
  *sink ^= sums[0];
  DP_STORE_TILE(2, sums, DP_TILE_BYTES);
  *sink ^= sums[0];
  DP_STORE_TILE(3, sums, DP_TILE_BYTES);
  *sink ^= sums[0];
  DP_RELEASE_TILES();
  return rounds * SUMS * DP_TILE_ROWS * DP_COLUMN * DP_TILE_BYTES;
}
