/*
 * gemv_s8_1x64c4_avxvnni.c: one row times up to a block: eight registers of sums, enough that multiplies
 * need not wait for each other. See gemv_s8_1x64c4_avx512vnni.c.
 */
#include "../kernel_table.h"
#include "ahead.h"
#include "vnni256.h"

DP_INLINE void gemv(const uint8_t *x, const int8_t *w, size_t quads, const int columns, const int32_t *col_sum,
                    int32_t *acc) {
  const int registers = columns * DP_REGISTERS;
  __m256i sum[DP_NR / DP_LANES];
  DP_UNROLL for (int r = 0; r < registers; r++) sum[r] = dp_offset(col_sum + r * DP_LANES);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    __m256i xq = dp_broadcast(x);
    DP_UNROLL for (int c = 0; c < columns; c++) _mm_prefetch(dp_column_after(w, c), _MM_HINT_T0);
    DP_UNROLL for (int r = 0; r < registers; r++) DP_VPDPBUSD_AT(sum[r], xq, w + r * 32);
  }
  DP_UNROLL for (int r = 0; r < registers; r++) dp_store(acc + r * DP_LANES, sum[r]);
}

#define CALL(n) gemv(xq, w, quads, n, col_sum, acc)

void dp_gemv_s8_1x64c4_avxvnni(const void *xq, const int8_t *w, size_t quads, uint32_t columns, const int32_t *col_sum,
                               int32_t *acc) {
  DP_SWITCH_4(columns, CALL)
}
