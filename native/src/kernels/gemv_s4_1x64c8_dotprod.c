/*
 * gemv_s4_1x64c8_dotprod.c: one row times up to a block of four bits, a column at a time, whose sums of a group are four
 * registers. Memory is read as gemv_s8_1x64c4_dotprod.c reads it.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_neon.h"

enum { AHEAD = 4096 };

/* sum[v] += two quads of the row, from quad `lane` of x on, . a pair of a column's weights */
DP_INLINE void add_pair(int32x4_t sum[DP_VECTORS], int8x16_t x, const uint8_t *pair, const int lane) {
  uint8x16_t line[DP_VECTORS];
  DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) line[v] = vld1q_u8(pair + v * 16);
  DP_LOADS_STAY();
  __builtin_prefetch(pair + AHEAD);
  DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) DP_SDOT(sum[v], dp_low_nibbles(line[v]), x, lane);
  DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) DP_SDOT(sum[v], dp_high_nibbles(line[v]), x, lane + 1);
}

/* acc += sum * m, of a column */
DP_INLINE void add_products(int32_t *acc, const int32x4_t sum[DP_VECTORS], const uint8_t *multipliers) {
  const int8x16_t m = vreinterpretq_s8_u8(vld1q_u8(multipliers));
  const int16x8_t m_words[] = {vmovl_s8(vget_low_s8(m)), vmovl_high_s8(m)};
  DP_UNROLL for (int v = 0; v < DP_VECTORS; v += 2, acc += 8) {
    const int16x8_t words = vuzp1q_s16(vreinterpretq_s16_s32(sum[v]), vreinterpretq_s16_s32(sum[v + 1]));
    const int32x4_t low = vld1q_s32(acc), high = vld1q_s32(acc + 4);
    vst1q_s32(acc, vmlal_s16(low, vget_low_s16(words), vget_low_s16(m_words[v / 2])));
    vst1q_s32(acc + 4, vmlal_high_s16(high, words, m_words[v / 2]));
  }
}

DP_INLINE void gemv(const int8_t *x, const uint8_t *w, size_t groups, uint32_t first, const int columns, int32_t *acc) {
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  for (size_t g = 0; g < groups; g++, x += DP_S4_GROUP, w += DP_S4_GROUP_BYTES) {
    const int32x4_t start = dp_group_start(x);
    const int8x16_t x0 = vld1q_s8(x), x1 = vld1q_s8(x + 16);
    __builtin_prefetch(w + AHEAD);
    DP_UNROLL for (int c = 0; c < columns; c++) {
      const uint8_t *pairs = w + DP_NR + (first + c) * DP_COLUMN * DP_KR;
      int32x4_t sum[] = {start, start, start, start};
      add_pair(sum, x0, pairs, 0);
      add_pair(sum, x0, pairs + DP_QUAD_BYTES, 2);
      add_pair(sum, x1, pairs + 2 * DP_QUAD_BYTES, 0);
      add_pair(sum, x1, pairs + 3 * DP_QUAD_BYTES, 2);
      add_products(acc + c * DP_COLUMN, sum, w + (first + c) * DP_COLUMN);
    }
  }
}

#define CALL(n) gemv(xq, w, groups, first, n, acc)

void dp_gemv_s4_1x64c8_dotprod(const void *xq, const uint8_t *w, size_t groups, uint32_t first, uint32_t columns,
                               int32_t *acc) {
  DP_SWITCH_4(columns, CALL)
}
