/*
 * gemm_s4_12x8c8_i8mm.c: up to twelve rows, in pairs, times a block of four bits, eight channels at a time, in turns as
 * gemm_s8_12x8c4_i8mm.c takes them. A pair of quads holds eight k of each channel: its low nibbles and its high ones are
 * zipped. 24 of the 32 registers are a group's sums, four hold weights.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_neon.h"

enum {
  PAIRS = 6,
  CHANNELS = 8,
  OPERANDS = CHANNELS / 2,          /* registers that hold eight k of these */
  TURN = 16,                        /* groups of these channels before the next ones' turn */
  AHEAD = TURN * DP_S4_GROUP_BYTES, /* so the turn after this one is on its way */
};

/* Of each pair of rows: eight k of the first one, then of the second. */
typedef struct paired_group {
  int8x16_t x[DP_S4_PAIRS][PAIRS];
  int32x4_t start[PAIRS]; /* -8 * sum x: of the first row twice, then of the second */
} paired_group;

/* Sums of two rows and two channels: row by row. */
typedef int32x4_t paired_sums[PAIRS][DP_NR / 2];

static void pair_rows(const int8_t *x, size_t stride, uint32_t rows, size_t groups, paired_group *to) {
  const int8x16_t eights = vdupq_n_s8(-DP_S4_OFFSET);
  for (uint32_t m = 0; m < rows; m += 2) {
    const int8_t *first = x + m * stride, *second = m + 1 < rows ? first + stride : first;
    for (size_t g = 0; g < groups; g++, first += DP_S4_GROUP, second += DP_S4_GROUP) {
      int32x4_t start = vdupq_n_s32(0);
      for (int i = 0; i < DP_S4_PAIRS; i++) {
        const int8x16_t both = vcombine_s8(vld1_s8(first + i * 8), vld1_s8(second + i * 8));
        to[g].x[i][m / 2] = both;
        DP_SMMLA(start, both, eights);
      }
      to[g].start[m / 2] = start;
    }
  }
}

/* Eight k of two channels: of the first two of quad and next, and of the other two. */
DP_INLINE int8x16_t zip_low(int8x16_t quad, int8x16_t next) {
  return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(quad), vreinterpretq_s32_s8(next)));
}

DP_INLINE int8x16_t zip_high(int8x16_t quad, int8x16_t next) {
  return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(quad), vreinterpretq_s32_s8(next)));
}

DP_INLINE int32x4_t twice_low(int32x4_t m) {
  return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(m), vreinterpretq_s64_s32(m)));
}

DP_INLINE int32x4_t twice_high(int32x4_t m) {
  return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(m), vreinterpretq_s64_s32(m)));
}

/* sums += sum * m */
DP_INLINE void add_products(paired_sums sums, int32x4_t sum[PAIRS][OPERANDS], const int pairs, int operand,
                            const uint8_t *multipliers) {
  const int16x8_t words = vmovl_s8(vreinterpret_s8_u8(vld1_u8(multipliers)));
  const int32x4_t low = vmovl_s16(vget_low_s16(words)), high = vmovl_high_s16(words);
  const int32x4_t m[OPERANDS] = {twice_low(low), twice_high(low), twice_low(high), twice_high(high)};
  DP_UNROLL for (int p = 0; p < pairs; p++) {
    DP_UNROLL for (int i = 0; i < OPERANDS; i++) {
      sums[p][operand + i] = vmlaq_s32(sums[p][operand + i], sum[p][i], m[i]);
    }
    DP_LOADS_STAY();
  }
}

DP_INLINE void add_group(const paired_group *group, const int pairs, const uint8_t *w, int channel, paired_sums sums) {
  int32x4_t sum[PAIRS][OPERANDS];
  DP_UNROLL for (int p = 0; p < pairs; p++) {
    DP_UNROLL for (int i = 0; i < OPERANDS; i++) sum[p][i] = group->start[p];
  }
  const uint8_t *line = w + DP_NR + channel * DP_KR;
  /* a line has sixteen channels: the first eight ask for two, the others for the next two */
  const uint8_t *soon = line + AHEAD + channel % DP_COLUMN / CHANNELS * 2 * DP_QUAD_BYTES;
  __builtin_prefetch(soon);
  __builtin_prefetch(soon + DP_QUAD_BYTES);
  DP_ROLLED for (int k = 0; k < DP_S4_PAIRS; k++, line += DP_QUAD_BYTES) {
    int8x16_t operand[OPERANDS];
    DP_UNROLL for (int i = 0; i < OPERANDS; i += 2) {
      const uint8x16_t nibbles = vld1q_u8(line + i * 8);
      const int8x16_t quad = dp_low_nibbles(nibbles), next = dp_high_nibbles(nibbles);
      operand[i] = zip_low(quad, next);
      operand[i + 1] = zip_high(quad, next);
    }
    DP_UNROLL for (int p = 0; p < pairs; p++) {
      if (p % 2 == 0) DP_LOADS_STAY(); /* two make one instruction, more take registers from the sums */
      const int8x16_t xp = group->x[k][p];
      DP_UNROLL for (int i = 0; i < OPERANDS; i++) DP_SMMLA(sum[p][i], xp, operand[i]);
    }
    DP_LOADS_STAY();
  }
  add_products(sums, sum, pairs, channel / 2, w + channel);
}

static void write_sums(const paired_sums sums, uint32_t rows, int32_t *acc) {
  for (uint32_t m = 0; m < rows; m++, acc += DP_NR) {
    for (int c = 0; c < DP_NR; c += 4) {
      const int64x2_t low = vreinterpretq_s64_s32(sums[m / 2][c / 2]);
      const int64x2_t high = vreinterpretq_s64_s32(sums[m / 2][c / 2 + 1]);
      const int64x2_t row = m % 2 == 0 ? vzip1q_s64(low, high) : vzip2q_s64(low, high);
      vst1q_s32(acc + c, vreinterpretq_s32_s64(row));
    }
  }
}

DP_INLINE void tile(const int8_t *x, size_t stride, uint32_t rows, const int pairs, const uint8_t *w, size_t groups,
                    int32_t *acc) {
  paired_group paired[TURN];
  paired_sums sums = {0};
  while (groups > 0) {
    const size_t turn = groups < TURN ? groups : TURN;
    pair_rows(x, stride, rows, turn, paired);
    for (int c = 0; c < DP_NR; c += CHANNELS) {
      for (size_t g = 0; g < turn; g++) {
        const uint8_t *group = w + g * DP_S4_GROUP_BYTES;
        if (c == 0) __builtin_prefetch(group + AHEAD);
        add_group(&paired[g], pairs, group, c, sums);
      }
    }
    x += turn * DP_S4_GROUP;
    w += turn * DP_S4_GROUP_BYTES;
    groups -= turn;
  }
  write_sums(sums, rows, acc);
}

#define CALL(n) tile(xq, stride, rows, n, w, groups, acc)

void dp_gemm_s4_12x8c8_i8mm(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups,
                            int32_t *acc) {
  DP_SWITCH_6((rows + 1) / 2, CALL)
}
