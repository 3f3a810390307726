/*
 * gemv_s8_1x64c4_avx512vnni.c: one row times up to a block. Bound by memory: what counts is that loads are always under
 * way, so it asks for lines well ahead, in an order that has the hardware ask for more.
 */
#include "../kernel_table.h"
#include "ahead.h"
#include "vnni512.h"

DP_INLINE void gemv(const uint8_t *x, const int8_t *w, size_t quads, const int columns, const int32_t *col_sum,
                    int32_t *acc) {
  /* two quads at a time into sums of their own, so that multiplies need not wait for each other */
  __m512i even[DP_COLUMNS], odd[DP_COLUMNS];
  DP_UNROLL for (int c = 0; c < columns; c++) {
    even[c] = dp_offset(col_sum + c * DP_COLUMN);
    odd[c] = _mm512_setzero_si512();
  }
  size_t q = 0;
  for (; q + 2 <= quads; q += 2) {
    __m512i x0 = dp_broadcast_quad(x + q * DP_KR), x1 = dp_broadcast_quad(x + (q + 1) * DP_KR);
    DP_UNROLL for (int c = 0; c < columns; c++) {
      const int8_t *line = w + q * DP_QUAD_BYTES + c * 64;
      _mm_prefetch(dp_column_after(w + q * DP_QUAD_BYTES, c), _MM_HINT_T0);
      _mm_prefetch(dp_column_after(w + (q + 1) * DP_QUAD_BYTES, c), _MM_HINT_T0);
      DP_VPDPBUSD(even[c], x0, _mm512_load_si512(line));
      DP_VPDPBUSD(odd[c], x1, _mm512_load_si512(line + DP_QUAD_BYTES));
    }
  }
  if (q < quads) {
    __m512i x0 = dp_broadcast_quad(x + q * DP_KR);
    DP_UNROLL for (int c = 0; c < columns; c++) {
      DP_VPDPBUSD(even[c], x0, _mm512_load_si512(w + q * DP_QUAD_BYTES + c * 64));
    }
  }
  DP_UNROLL for (int c = 0; c < columns; c++) {
    _mm512_store_si512(acc + c * DP_COLUMN, _mm512_add_epi32(even[c], odd[c]));
  }
}

#define CALL(n) gemv(xq, w, quads, n, col_sum, acc)

void dp_gemv_s8_1x64c4_avx512vnni(const void *xq, const int8_t *w, size_t quads, uint32_t columns,
                                  const int32_t *col_sum, int32_t *acc) {
  DP_SWITCH_4(columns, CALL)
}
