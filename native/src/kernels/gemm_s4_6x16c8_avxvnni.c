/*
 * gemm_s4_6x16c8_avxvnni.c: up to six rows times a block of four bits, a column at a time. Columns take turns every few
 * kilobytes, so that memory is read in order. Twelve of the 16 registers are a group's sums, two hold a quad's weights,
 * one a row's activations, one what takes nibbles from bytes.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_vnni256.h"

enum {
  MR = 6,
  AHEAD = DP_S4_TURN * DP_S4_GROUP_BYTES, /* so the turn after this one is on its way */
};

/* The low nibbles of 32 bytes, and the high ones. In assembly, with the load, for the reasons given in sign256.h. */
DP_INLINE __m256i low_nibbles(const uint8_t *at, __m256i fifteens) {
  __m256i low;
  __asm__("vpand %1, %2, %0" : "=x"(low) : "m"(*(const __m256i *)(const void *)at), "x"(fifteens));
  return low;
}

DP_INLINE __m256i high_nibbles(const uint8_t *at, __m256i fifteens) {
  __m256i high;
  __asm__(
      "vmovdqa %1, %0\n\t"
      "vpsrlw $4, %0, %0\n\t"
      "vpand %2, %0, %0"
      : "=&x"(high)
      : "m"(*(const __m256i *)(const void *)at), "x"(fifteens));
  return high;
}

/* sum += x * w, a quad of a column; x: of each row. */
DP_INLINE void add_quad(__m256i (*sum)[DP_REGISTERS], const dp_signed_row *row, size_t k, const int rows, __m256i w0,
                        __m256i w1) {
  DP_UNROLL for (int m = 0; m < rows; m++) {
    const __m256i xm = dp_broadcast(row[m].x + k);
    DP_VPDPBUSD(sum[m][0], w0, xm);
    DP_VPDPBUSD(sum[m][1], w1, xm);
  }
}

/* acc += group g of a turn; w: the group, c: the column, acc: of it. */
DP_INLINE void add_group(const dp_signed_row *row, size_t g, const int rows, const uint8_t *w, int c, int32_t *acc) {
  const uint8_t *line = w + DP_NR + c * 64;
  const __m256i fifteens = _mm256_set1_epi8(15);
  __m256i sum[MR][DP_REGISTERS];
  /* sums of groups before stay in memory: the compiler would keep them in registers that there are not */
  __asm__ volatile("" ::: "memory");
  DP_UNROLL for (int m = 0; m < rows; m++) sum[m][0] = sum[m][1] = _mm256_set1_epi32(row[m].start[g]);
  DP_UNROLL for (int pair = 0; pair < DP_S4_PAIRS; pair++, line += DP_QUAD_BYTES) {
    const size_t k = g * DP_S4_GROUP + pair * 2 * DP_KR;
    _mm_prefetch(line + AHEAD, _MM_HINT_T0);
    add_quad(sum, row, k, rows, low_nibbles(line, fifteens), low_nibbles(line + 32, fifteens));
    add_quad(sum, row, k + DP_KR, rows, high_nibbles(line, fifteens), high_nibbles(line + 32, fifteens));
  }
  DP_UNROLL for (int r = 0; r < DP_REGISTERS; r++) {
    const __m256i multipliers = dp_multiplier_words(w + c * DP_COLUMN + r * DP_LANES);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      int32_t *at = acc + m * DP_NR + r * DP_LANES;
      __m256i total = dp_load(at);
      DP_VPDPWSSD(total, sum[m][r], multipliers);
      dp_store(at, total);
    }
  }
}

DP_INLINE void tile(const uint8_t *x, size_t stride, const int rows, const uint8_t *w, size_t groups, int32_t *acc) {
  dp_signed_row row[MR];
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  while (groups > 0) {
    const size_t turn = groups < DP_S4_TURN ? groups : DP_S4_TURN;
    for (int m = 0; m < rows; m++) dp_sign_row(x + m * stride, turn, &row[m]);
    for (int c = 0; c < DP_COLUMNS; c++) {
      for (size_t g = 0; g < turn; g++) add_group(row, g, rows, w + g * DP_S4_GROUP_BYTES, c, acc + c * DP_COLUMN);
    }
    x += turn * DP_S4_GROUP;
    w += turn * DP_S4_GROUP_BYTES;
    groups -= turn;
  }
}

#define CALL(n) tile(xq, stride, n, w, groups, acc)

void dp_gemm_s4_6x16c8_avxvnni(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups,
                               int32_t *acc) {
  DP_SWITCH_6(rows, CALL)
}
