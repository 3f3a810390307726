/* gemv_s8_1x64c4_dotprod.c: one row times up to a block; a register holds four quads of the row. */
#include "../kernel_table.h"
#include "neon.h"

/* See gemv_s8_1x64c4_avx512vnni.c. */
enum { AHEAD = 4096 };

/* sum[c] += quad `lane` of the row . the weights of one quad */
DP_INLINE void multiply_quad(int32x4_t *sum, int8x16_t x, const int columns, const int8_t *w, const int lane) {
  DP_UNROLL for (int c = 0; c < columns; c++) {
    int8x16_t line[DP_VECTORS];
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) line[v] = vld1q_s8(w + c * 64 + v * 16);
    DP_LOADS_STAY();
    __builtin_prefetch(w + c * 64 + AHEAD);
    DP_UNROLL for (int v = 0; v < DP_VECTORS; v++) DP_SDOT(sum[c * DP_VECTORS + v], line[v], x, lane);
  }
}

DP_INLINE void gemv(const int8_t *x, const int8_t *w, size_t quads, const int columns, int32_t *acc) {
  int32x4_t sum[DP_COLUMNS * DP_VECTORS];
  DP_UNROLL for (int i = 0; i < columns * DP_VECTORS; i++) sum[i] = vdupq_n_s32(0);
  size_t q = 0;
  for (; q + 4 <= quads; q += 4, x += 4 * DP_KR, w += 4 * DP_QUAD_BYTES) {
    const int8x16_t four = vld1q_s8(x);
    multiply_quad(sum, four, columns, w, 0);
    multiply_quad(sum, four, columns, w + DP_QUAD_BYTES, 1);
    multiply_quad(sum, four, columns, w + 2 * DP_QUAD_BYTES, 2);
    multiply_quad(sum, four, columns, w + 3 * DP_QUAD_BYTES, 3);
  }
#pragma GCC unroll 1 /* the three quads left at most */
  for (; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    multiply_quad(sum, dp_broadcast_quad(x), columns, w, 0);
  }
  DP_UNROLL for (int i = 0; i < columns * DP_VECTORS; i++) vst1q_s32(acc + i * 4, sum[i]);
}

#define CALL(n) gemv(xq, w, quads, n, acc)

void dp_gemv_s8_1x64c4_dotprod(const void *xq, const int8_t *w, size_t quads, uint32_t columns, const int32_t *col_sum,
                               int32_t *acc) {
  (void)col_sum;
  DP_SWITCH_4(columns, CALL)
}
