/* tiles.h: the shape of packed weights, which packers and kernels share. */
#ifndef DP_LAYOUT_H
#define DP_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "../include/dotpool.h"

/*
 * Packed weights are int8 [ceil(N/NR)][ceil(K/KR)][NR][KR], "64c4": blocks of NR output channels,
 * then quads of KR consecutive k, then channel, then the bytes of the quad. N and K are padded with
 * zero weights. 64 bytes are 16 channels of one quad: one AVX-512 operand, two AVX2 operands.
 */
#define DP_NR 64     /* channels of a block */
#define DP_KR 4      /* k of a quad */
#define DP_COLUMN 16 /* channels of a column, the narrowest piece of a block that kernels take */
#define DP_COLUMNS (DP_NR / DP_COLUMN)
#define DP_QUAD_BYTES (DP_NR * DP_KR)

/*
 * Weights of four bits are w8[n, k] = (u[n, k] - 8) * m[n, k / 32], "64c8": [ceil(N/NR)][ceil(K/32)] of a line of 64
 * multipliers, int8, one of each channel, then four pairs of quads. A pair is 256 bytes, laid out as a quad of 64c4 is,
 * a byte of which has in its low nibble a u of the pair's first quad, and in its high one that of its second. N and K
 * are padded with weights of zero, u = 8.
 */
#define DP_S4_GROUP 32
#define DP_S4_OFFSET 8
#define DP_S4_QUADS (DP_S4_GROUP / DP_KR)
#define DP_S4_PAIRS (DP_S4_QUADS / 2)
#define DP_S4_GROUP_BYTES (DP_NR + DP_S4_PAIRS * DP_QUAD_BYTES)

/* Bytes of an element. */
static inline size_t dp_type_bytes(uint32_t type) { return type == DP_BF16 ? 2 : type == DP_S8 ? 1 : 4; }

static inline size_t dp_blocks(size_t n) { return (n + DP_NR - 1) / DP_NR; }
static inline size_t dp_quads(size_t k) { return (k + DP_KR - 1) / DP_KR; }
static inline size_t dp_block_bytes(size_t k) { return dp_quads(k) * DP_QUAD_BYTES; }

static inline size_t dp_s4_groups(size_t k) { return (k + DP_S4_GROUP - 1) / DP_S4_GROUP; }
static inline size_t dp_s4_block_bytes(size_t k) { return dp_s4_groups(k) * DP_S4_GROUP_BYTES; }

/* Elements from one row of float weights to the next: 16 lanes need not stop short. */
static inline size_t dp_dense_stride(size_t k) { return (k + 15) / 16 * 16; }

#endif
