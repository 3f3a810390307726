/* int4.c: weights of four bits, int8 as (u - 8) * m: into the 64c8 tiles of tiles.h, and from there into int8's. */
#include <string.h>

#include "../../kernel_table.h"
#include "multipliers.h"
#include "per_isa.h"

typedef uint8_t bytes __attribute__((vector_size(DP_VECTOR_BYTES)));
typedef uint16_t words __attribute__((vector_size(DP_VECTOR_BYTES)));

/*
 * (u - 8) * m in each byte. Where there is no multiply of bytes, two in a word at once: 128 is added, so that products
 * are 0 to 255 and the upper byte gets its own alone.
 */
static inline bytes decode_bytes(words u, words m, words offset) {
#ifdef __aarch64__
  return (bytes)u * (bytes)m + (bytes)offset;
#else
  return (bytes)((u * m + offset) ^ 0x8080);
#endif
}

/* What decode_bytes adds. */
static inline words offset_of(words m) {
#ifdef __aarch64__
  return (words)(0 - (bytes)(m << 3 & 0xf8f8));
#else
  return 0x8080 - 0x0808 * m;
#endif
}

/* Each channel's multiplier in all that decode_bytes multiplies of it. */
static inline words spread(dp_lanes m) {
#ifdef __aarch64__
  return (words)((m & 0xff) * 0x01010101);
#else
  return (words)((m & 0xffff) | m << 16);
#endif
}

void DP_PER_ISA(dp_decode_s4)(const uint8_t *w, size_t groups, uint32_t first, uint32_t columns, int8_t *tiles) {
  const uint32_t from = first * DP_COLUMN_REGISTERS, to = from + columns * DP_COLUMN_REGISTERS;
  for (; groups > 0; groups--, w += DP_S4_GROUP_BYTES, tiles += DP_S4_QUADS * DP_QUAD_BYTES) {
    for (uint32_t r = from; r < to; r++) {
      const words m = spread(dp_multipliers_at(w + r * DP_PART_LANES)), offset = offset_of(m);
      const uint8_t *nibbles_at = w + DP_NR + r * DP_VECTOR_BYTES;
      bytes *quad = (void *)(tiles + r * DP_VECTOR_BYTES);
      for (int pair = 0; pair < DP_S4_PAIRS; pair++) {
        const words nibbles = *(const words *)(const void *)(nibbles_at + pair * DP_QUAD_BYTES);
        quad[(2 * pair) * DP_QUAD_BYTES / DP_VECTOR_BYTES] = decode_bytes(nibbles & 0x0f0f, m, offset);
        quad[(2 * pair + 1) * DP_QUAD_BYTES / DP_VECTOR_BYTES] = decode_bytes(nibbles >> 4 & 0x0f0f, m, offset);
      }
    }
  }
}

/* Eight nibbles of k, from k0 on, in order; 8, which is a weight of zero, past the row's end. */
static void nibbles_at(const uint8_t *row, size_t k, size_t k0, uint8_t u[2 * DP_KR]) {
  for (size_t i = 0; i < 2 * DP_KR; i++) {
    u[i] = k0 + i < k ? row[(k0 + i) / 2] >> (k0 + i) % 2 * 4 & 15 : DP_S4_OFFSET;
  }
}

void DP_PER_ISA(dp_pack_block_s4)(const uint8_t *nibbles, const int8_t *m, uint32_t channels, size_t k, uint8_t *tiles,
                                  int32_t *col_sum) {
  const size_t groups = dp_s4_groups(k), stride = (k + 1) / 2;
  memset(col_sum, 0, DP_NR * sizeof *col_sum);
  for (size_t g = 0; g < groups; g++, tiles += DP_S4_GROUP_BYTES) {
    memset(tiles, 0, DP_NR);
    memset(tiles + DP_NR, DP_S4_OFFSET * 0x11, DP_S4_PAIRS * DP_QUAD_BYTES);
    for (uint32_t c = 0; c < channels; c++) {
      const int8_t multiplier = m[c * groups + g];
      int32_t sum = 0;
      memcpy(tiles + c, &multiplier, 1);
      for (size_t pair = 0; pair < DP_S4_PAIRS; pair++) {
        uint8_t u[2 * DP_KR], *to = tiles + DP_NR + pair * DP_QUAD_BYTES + c * DP_KR;
        nibbles_at(nibbles + c * stride, k, g * DP_S4_GROUP + pair * 2 * DP_KR, u);
        for (size_t i = 0; i < DP_KR; i++) {
          to[i] = (uint8_t)(u[i] | u[DP_KR + i] << 4);
          sum += u[i] + u[DP_KR + i] - 2 * DP_S4_OFFSET;
        }
      }
      col_sum[c] += sum * multiplier;
    }
  }
}
