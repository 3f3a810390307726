/*
 * gemm_s4_6x16c8_dotprod.c: up to six rows times a block of four bits, a column at a time, in turns as
 * gemm_s8_6x16c4_dotprod.c takes them. 24 of the 32 registers are a group's sums, four hold the nibbles of a row's
 * two quads.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_neon.h"

enum {
  ROWS = 6,
  TURN = 8,                         /* groups of one column before the next one's turn: 8.5 KiB of weights */
  AHEAD = TURN * DP_S4_GROUP_BYTES, /* so the turn after this one is on its way */
};

/* sum[m][v] += two quads of row m, from quad `lane` of x[m] on, . a pair of a column's weights */
DP_INLINE void add_pair(int32x4_t sum[ROWS][DP_VECTORS], const int8x16_t x[ROWS], const int rows, const uint8_t *pair,
                        const int lane) {
  __builtin_prefetch(pair + AHEAD);
  DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) {
    const uint8x16_t line = vld1q_u8(pair + v * 16);
    const int8x16_t low = dp_low_nibbles(line), high = dp_high_nibbles(line);
    DP_UNROLL for (int m = 0; m < rows; m++) DP_SDOT(sum[m][v], low, x[m], lane);
    DP_UNROLL for (int m = 0; m < rows; m++) DP_SDOT(sum[m][v], high, x[m], lane + 1);
    DP_LOADS_STAY();
  }
}

/* acc[m] += sum[m] * m, of a column */
DP_INLINE void add_products(int32_t *acc, const int32x4_t sum[ROWS][DP_VECTORS], const int rows,
                            const uint8_t *multipliers) {
  const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(multipliers));
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  const int32x4_t m[DP_VECTORS] = {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)),
                                   vmovl_high_s16(high)};
  DP_UNROLL for (int i = 0; i < rows; i++) {
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) {
      int32_t *to = acc + i * DP_NR + v * 4;
      vst1q_s32(to, vmlaq_s32(vld1q_s32(to), sum[i][v], m[v]));
    }
    DP_LOADS_STAY();
  }
}

/* acc += a group of a column; start: of each row. */
DP_INLINE void add_group(const int8_t *x, size_t stride, const int32_t *start, const int rows, const uint8_t *pairs,
                         const uint8_t *multipliers, int32_t *acc) {
  int32x4_t sum[ROWS][DP_VECTORS];
  DP_UNROLL for (int m = 0; m < rows; m++) {
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) sum[m][v] = vdupq_n_s32(start[m]);
  }
  DP_ROLLED for (int i = 0; i < 2; i++, x += 16, pairs += 2 * DP_QUAD_BYTES) {
    int8x16_t xm[ROWS];
    DP_UNROLL for (int m = 0; m < rows; m++) xm[m] = vld1q_s8(x + m * stride);
    add_pair(sum, xm, rows, pairs, 0);
    add_pair(sum, xm, rows, pairs + DP_QUAD_BYTES, 2);
  }
  add_products(acc, sum, rows, multipliers);
}

static __attribute__((noinline)) void start_rows(const int8_t *x, size_t stride, int rows, size_t groups,
                                                 int32_t (*start)[ROWS]) {
  for (size_t g = 0; g < groups; g++) {
    for (int m = 0; m < rows; m++) start[g][m] = vgetq_lane_s32(dp_group_start(x + m * stride + g * DP_S4_GROUP), 0);
  }
}

DP_INLINE void tile(const int8_t *x, size_t stride, const int rows, const uint8_t *w, size_t groups, int32_t *acc) {
  int32_t start[TURN][ROWS];
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  while (groups > 0) {
    const size_t turn = groups < TURN ? groups : TURN;
    start_rows(x, stride, rows, turn, start);
    for (int c = 0; c < DP_COLUMNS; c++) {
      const uint8_t *m = w + c * DP_COLUMN, *pairs = w + DP_NR + c * DP_COLUMN * DP_KR;
      for (size_t g = 0; g < turn; g++, m += DP_S4_GROUP_BYTES, pairs += DP_S4_GROUP_BYTES) {
        if (c == 0) __builtin_prefetch(m + AHEAD);
        add_group(x + g * DP_S4_GROUP, stride, start[g], rows, pairs, m, acc + c * DP_COLUMN);
      }
    }
    x += turn * DP_S4_GROUP;
    w += turn * DP_S4_GROUP_BYTES;
    groups -= turn;
  }
}

#define CALL(n) tile(xq, stride, n, w, groups, acc)

void dp_gemm_s4_6x16c8_dotprod(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups,
                               int32_t *acc) {
  DP_SWITCH_6(rows, CALL)
}
