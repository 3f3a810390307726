/* amx.h: tiles, for kernels compiled with AMX int8. A tile is up to 16 rows of up to 64 bytes. */
#ifndef DP_AMX_H
#define DP_AMX_H

#include <stdint.h>

#define DP_TILE_ROWS 16
#define DP_TILE_BYTES 64 /* of a row */

/* The shape of each of the eight tiles; one without rows is not in use. */
typedef struct dp_tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} dp_tile_shapes;

/*
 * In assembly because the intrinsics of gcc 12 do not say which memory they read, so that what was
 * written there just before may come too late.
 */
#define DP_SHAPE_TILES(shapes) __asm__ volatile("ldtilecfg %0" ::"m"(shapes))
#define DP_LOAD_TILE(tile, at, stride) \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile::"r"(at), "r"((size_t)(stride)) : "memory")
#define DP_STORE_TILE(tile, at, stride) \
  __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(at), "r"((size_t)(stride)) : "memory")

/* sum[m][c] += sum over quads q, bytes j of x[m][4 q + j] * w[q][c][j], x unsigned, w signed. */
#define DP_MULTIPLY_TILES(sum, x, w) __asm__ volatile("tdpbusd %%tmm" #w ", %%tmm" #x ", %%tmm" #sum::)

/* Tiles of zeros, all out of use: nothing for the system to save when it switches threads. */
#define DP_RELEASE_TILES() __asm__ volatile("tilerelease" ::)

#endif
