/*
 * gemv_s8_1x64c4_avxvnni.c: one row times up to a block: eight registers of sums, enough that multiplies
 * need not wait for each other. See gemv_s8_1x64c4_avx512vnni.c.
 */
#include "../kernel_table.h"
#include "vnni256.h"

enum { AHEAD = 4096 };

static inline __attribute__((always_inline)) void gemv(const uint8_t *x, const int8_t *w, size_t quads,
                                                       const int columns, const int32_t *col_sum,
                                                       int32_t *acc) {
  const int registers = columns * DP_REGISTERS;
  __m256i sum[DP_NR / DP_LANES];
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) sum[r] = dp_offset(col_sum + r * DP_LANES);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    __m256i xq = dp_broadcast(x);
#pragma GCC unroll 4
    for (int c = 0; c < columns; c++) _mm_prefetch(w + AHEAD + c * 64, _MM_HINT_T0);
#pragma GCC unroll 8
    for (int r = 0; r < registers; r++) DP_VPDPBUSD_AT(sum[r], xq, w + r * 32);
  }
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) dp_store(acc + r * DP_LANES, sum[r]);
}

void dp_gemv_s8_1x64c4_avxvnni(const void *xq, const int8_t *w, size_t quads, uint32_t columns,
                               const int32_t *col_sum, int32_t *acc) {
  switch (columns) {
    case 1: gemv(xq, w, quads, 1, col_sum, acc); break;
    case 2: gemv(xq, w, quads, 2, col_sum, acc); break;
    case 3: gemv(xq, w, quads, 3, col_sum, acc); break;
    default: gemv(xq, w, quads, 4, col_sum, acc); break;
  }
}
