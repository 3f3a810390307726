/*
 * gemm_s4_12x32c8_avx512vnni.c: up to twelve rows times a block of four bits, half a block at a time, in turns as
 * gemm_s8_12x32c4_avx512vnni.c takes them. 24 of the 32 registers are a group's sums.
 */
#include "../kernel_table.h"
#include "nibbles512.h"

enum {
  MR = 12,
  HALF = DP_NR / 2,
  AHEAD = DP_S4_TURN * DP_S4_GROUP_BYTES, /* so the turn after this one is on its way */
};

/* The low nibbles of 64 bytes, and the high ones. In assembly, with the load, for the reasons given in sign256.h. */
DP_INLINE __m512i low_nibbles(const uint8_t *at, __m512i fifteens) {
  __m512i low;
  __asm__("vpandd %1, %2, %0" : "=v"(low) : "m"(*(const __m512i *)(const void *)at), "v"(fifteens));
  return low;
}

DP_INLINE __m512i high_nibbles(const uint8_t *at, __m512i fifteens) {
  __m512i high;
  __asm__(
      "vpsrlw $4, %1, %0\n\t"
      "vpandd %2, %0, %0"
      : "=&v"(high)
      : "m"(*(const __m512i *)(const void *)at), "v"(fifteens));
  return high;
}

/* sum += x * w, a quad of half a block; x: of each row. */
DP_INLINE void add_quad(__m512i (*sum)[2], const dp_signed_row *row, size_t k, const int rows, __m512i w0, __m512i w1) {
  DP_UNROLL for (int m = 0; m < rows; m++) {
    const __m512i xm = dp_broadcast_quad((const uint8_t *)row[m].x + k);
    DP_VPDPBUSD(sum[m][0], w0, xm);
    DP_VPDPBUSD(sum[m][1], w1, xm);
  }
}

/* acc += group g of a turn; w: the group, acc: of this half. */
DP_INLINE void add_group(const dp_signed_row *row, size_t g, const int rows, const uint8_t *w, const int half,
                         int32_t *acc) {
  const __m512i fifteens = _mm512_set1_epi8(15);
  __m512i sum[MR][2];
  /* sums of groups before stay in memory: the compiler would keep them in registers that there are not */
  __asm__ volatile("" ::: "memory");
  DP_UNROLL for (int m = 0; m < rows; m++) sum[m][0] = sum[m][1] = _mm512_set1_epi32(row[m].start[g]);
  if (half == 0) _mm_prefetch(w + AHEAD, _MM_HINT_T0);
  const uint8_t *line = w + DP_NR + half * HALF * DP_KR;
  DP_ROLLED for (size_t k = g * DP_S4_GROUP, end = k + DP_S4_GROUP; k < end; k += 2 * DP_KR, line += DP_QUAD_BYTES) {
    _mm_prefetch(line + AHEAD, _MM_HINT_T0);
    _mm_prefetch(line + AHEAD + 64, _MM_HINT_T0);
    add_quad(sum, row, k, rows, low_nibbles(line, fifteens), low_nibbles(line + 64, fifteens));
    add_quad(sum, row, k + DP_KR, rows, high_nibbles(line, fifteens), high_nibbles(line + 64, fifteens));
  }
  const __m512i m0 = dp_multipliers(w + half * HALF), m1 = dp_multipliers(w + half * HALF + DP_COLUMN);
  DP_UNROLL for (int m = 0; m < rows; m++) {
    __m512i acc0 = _mm512_load_si512(acc + m * DP_NR), acc1 = _mm512_load_si512(acc + m * DP_NR + DP_COLUMN);
    DP_VPDPWSSD(acc0, sum[m][0], m0);
    DP_VPDPWSSD(acc1, sum[m][1], m1);
    _mm512_store_si512(acc + m * DP_NR, acc0);
    _mm512_store_si512(acc + m * DP_NR + DP_COLUMN, acc1);
  }
}

/* Apart: constants would take registers. */
static __attribute__((noinline)) void sign_rows(const uint8_t *x, size_t stride, int rows, size_t groups,
                                                dp_signed_row *row) {
  for (int m = 0; m < rows; m++) dp_sign_row(x + m * stride, groups, &row[m]);
}

DP_INLINE void tile(const uint8_t *x, size_t stride, const int rows, const uint8_t *w, size_t groups, int32_t *acc) {
  dp_signed_row row[MR];
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  while (groups > 0) {
    const size_t turn = groups < DP_S4_TURN ? groups : DP_S4_TURN;
    sign_rows(x, stride, rows, turn, row);
    for (int half = 0; half < 2; half++) {
      for (size_t g = 0; g < turn; g++) add_group(row, g, rows, w + g * DP_S4_GROUP_BYTES, half, acc + half * HALF);
    }
    x += turn * DP_S4_GROUP;
    w += turn * DP_S4_GROUP_BYTES;
    groups -= turn;
  }
}

#define CALL(n) tile(xq, stride, n, w, groups, acc)

void dp_gemm_s4_12x32c8_avx512vnni(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups,
                                   int32_t *acc) {
  DP_SWITCH_12(rows, CALL)
}
