/*
 * gemm_s8_12x8c4_i8mm.c: up to twelve rows, in pairs, times a block, eight channels at a time. A multiply
 * takes eight k of two rows and of two channels. Rows are put side by side once per turn, for the whole
 * block; weights are zipped in registers: per 24 multiplies four zips and ten loads. 24 of the 32 registers
 * are sums.
 */
#include <string.h>

#include "../kernel_table.h"
#include "../registers.h"
#include "neon.h"

enum {
  PAIRS = 6,
  CHANNELS = 8,
  OPERANDS = CHANNELS / 2,         /* registers that hold eight k of these */
  OCTET_BYTES = 2 * DP_QUAD_BYTES, /* of a block */
  TURN = 64,                       /* octets of these channels before the next ones' turn */
  AHEAD = TURN * OCTET_BYTES,      /* so the turn after this one is on its way */
};

/* Of each octet and pair: eight k of the first row, then of the second. */
typedef int8x16_t paired_rows[TURN][PAIRS];

/* Sums of two rows and two channels: row by row. */
typedef int32x4_t paired_sums[PAIRS][DP_NR / 2];

/* What follows a last single quad in its row will meet zero weights. */
static void pair_rows(const int8_t *x, size_t stride, uint32_t rows, size_t octets, paired_rows pairs) {
  for (uint32_t m = 0; m < rows; m += 2) {
    const int8_t *first = x + m * stride, *second = m + 1 < rows ? first + stride : first;
    for (size_t o = 0; o < octets; o++) {
      pairs[o][m / 2] = vcombine_s8(vld1_s8(first + o * 8), vld1_s8(second + o * 8));
    }
  }
}

static inline int8x16_t zip_low(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

static inline int8x16_t zip_high(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

DP_INLINE void turn(const paired_rows x, const int pairs, const int8_t *w, size_t octets, int channel, paired_sums sums,
                    const int8_t *ahead) {
  int32x4_t sum[PAIRS][OPERANDS];
  DP_UNROLL for (int p = 0; p < pairs; p++) {
    DP_UNROLL for (int i = 0; i < OPERANDS; i++) sum[p][i] = sums[p][channel / 2 + i];
  }
  w += channel * DP_KR;
  /* a line has sixteen channels: the first eight ask for one quad's, the others for the next one's */
  const int8_t *soon = w + AHEAD + channel % DP_COLUMN / CHANNELS * DP_QUAD_BYTES;
  for (size_t o = 0; o < octets; o++, w += OCTET_BYTES, soon += OCTET_BYTES, ahead += DP_CACHE_LINE / 4) {
    __builtin_prefetch(soon);
    __builtin_prefetch(ahead, 0, 2);
    int8x16_t operand[OPERANDS];
    DP_UNROLL for (int i = 0; i < OPERANDS; i += 2) {
      const int8x16_t quad = vld1q_s8(w + i * 8), next = vld1q_s8(w + DP_QUAD_BYTES + i * 8);
      operand[i] = zip_low(quad, next);
      operand[i + 1] = zip_high(quad, next);
    }
    DP_UNROLL for (int p = 0; p < pairs; p++) {
      if (p % 2 == 0) DP_LOADS_STAY(); /* two make one instruction, more take registers from the sums */
      const int8x16_t xp = x[o][p];
      DP_UNROLL for (int i = 0; i < OPERANDS; i++) DP_SMMLA(sum[p][i], xp, operand[i]);
    }
    DP_LOADS_STAY();
  }
  DP_UNROLL for (int p = 0; p < pairs; p++) {
    DP_UNROLL for (int i = 0; i < OPERANDS; i++) sums[p][channel / 2 + i] = sum[p][i];
  }
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

DP_INLINE void tile(const int8_t *x, size_t stride, uint32_t rows, const int pairs, const int8_t *w, size_t quads,
                    int32_t *acc, const int8_t *ahead) {
  paired_rows paired;
  paired_sums sums = {0};
  int8_t last[OCTET_BYTES] = {0};
  for (size_t q = 0, octets; q < quads; q += 2 * octets) {
    octets = (quads - q) / 2 < TURN ? (quads - q) / 2 : TURN;
    const int8_t *from = w + q * DP_QUAD_BYTES;
    if (octets == 0) { /* a quad is left: zeros make an octet of it */
      octets = 1;
      from = memcpy(last, from, DP_QUAD_BYTES);
    }
    pair_rows(x + q * DP_KR, stride, rows, octets, paired);
    for (int c = 0; c < DP_NR; c += CHANNELS, ahead += octets * (DP_CACHE_LINE / 4)) {
      turn(paired, pairs, from, octets, c, sums, ahead);
    }
  }
  write_sums(sums, rows, acc);
}

#define CALL(n) tile(xq, stride, rows, n, w, quads, acc, ahead)

void dp_gemm_s8_12x8c4_i8mm(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                            const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)col_sum;
  DP_SWITCH_6((rows + 1) / 2, CALL)
}
