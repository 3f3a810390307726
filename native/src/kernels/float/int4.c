/* int4.c: weights of four bits, int8 as (u - 8) * m: into the 64c8 tiles of tiles.h, and from there into int8's. */
#include <string.h>

#include "../../kernel_table.h"
#include "../../registers.h"
#include "per_isa.h"

/* A quad of a column; the compiler cuts these into the registers that the ISA has. */
enum { COLUMN_BYTES = DP_COLUMN * DP_KR };
typedef uint8_t bytes __attribute__((vector_size(COLUMN_BYTES)));
typedef uint16_t words __attribute__((vector_size(COLUMN_BYTES)));

/* u * m + offset in each byte, modulo 2^8 */
static inline bytes decode_bytes(words u, words m, bytes offset) {
#ifdef __aarch64__ /* has a multiply of bytes */
  return (bytes)u * (bytes)m + offset;
#else
  /* the lower byte of a word, then the upper one, whose product leaves the lower byte zero */
  const words products = (((u & 0x00ff) * m) & 0x00ff) | ((u & 0xff00) * m);
  return (bytes)products + offset;
#endif
}

/* A column's multipliers, each in all bytes of its channel. */
static inline words spread(const uint8_t *multipliers) {
  uint32_t lanes[DP_COLUMN];
  DP_ROLLED for (int c = 0; c < DP_COLUMN; c++) lanes[c] = multipliers[c] * 0x01010101u;
  words m;
  memcpy(&m, lanes, sizeof m);
  return m;
}

void DP_PER_ISA(dp_decode_s4)(const uint8_t *w, size_t groups, uint32_t first, uint32_t columns, int8_t *tiles) {
  for (; groups > 0; groups--, w += DP_S4_GROUP_BYTES, tiles += DP_S4_QUADS * DP_QUAD_BYTES) {
    for (uint32_t c = first; c < first + columns; c++) {
      const words m = spread(w + c * DP_COLUMN);
      const bytes offset = 0 - (bytes)(m << 3 & 0xf8f8);
      for (uint32_t pair = 0; pair < DP_S4_PAIRS; pair++) {
        words nibbles;
        memcpy(&nibbles, w + DP_NR + pair * DP_QUAD_BYTES + c * COLUMN_BYTES, sizeof nibbles);
        const bytes quads[] = {
            decode_bytes(nibbles & 0x0f0f, m, offset),
            decode_bytes(nibbles >> 4 & 0x0f0f, m, offset),
        };
        for (uint32_t i = 0; i < 2; i++) {
          memcpy(tiles + (2 * pair + i) * DP_QUAD_BYTES + c * COLUMN_BYTES, &quads[i], sizeof quads[i]);
        }
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
