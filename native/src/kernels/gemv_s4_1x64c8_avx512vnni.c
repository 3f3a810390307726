/*
 * gemv_s4_1x64c8_avx512vnni.c: one row times up to a block of four bits. Bound by memory, as
 * gemv_s8_1x64c4_avx512vnni.c is.
 */
#include "../kernel_table.h"
#include "ahead.h"
#include "nibbles512.h"

/* acc += a group's sums, times their multipliers */
DP_INLINE void add_group(__m512i *acc, const int8_t *x, const int32_t *start, const uint8_t *w, uint32_t first,
                         const int columns) {
  const __m512i fifteens = _mm512_set1_epi8(15);
  __m512i sum[DP_COLUMNS];
  _mm_prefetch(dp_line_after(w), _MM_HINT_T0);
  DP_UNROLL for (int c = 0; c < columns; c++) sum[c] = _mm512_set1_epi32(*start);
  DP_UNROLL for (int pair = 0; pair < DP_S4_PAIRS; pair++, x += 2 * DP_KR) {
    const uint8_t *line = w + DP_NR + pair * DP_QUAD_BYTES + first * 64;
    const __m512i x0 = dp_broadcast_quad((const uint8_t *)x), x1 = dp_broadcast_quad((const uint8_t *)x + DP_KR);
    DP_UNROLL for (int c = 0; c < columns; c++, line += 64) {
      _mm_prefetch(dp_line_after(line), _MM_HINT_T0);
      const __m512i nibbles = _mm512_load_si512(line);
      DP_VPDPBUSD(sum[c], _mm512_and_si512(nibbles, fifteens), x0);
      DP_VPDPBUSD(sum[c], _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), fifteens), x1);
    }
  }
  DP_UNROLL for (int c = 0; c < columns; c++) {
    DP_VPDPWSSD(acc[c], sum[c], dp_multipliers(w + (first + c) * DP_COLUMN));
  }
}

DP_INLINE void gemv(const uint8_t *x, const uint8_t *w, size_t groups, uint32_t first, const int columns,
                    int32_t *acc) {
  __m512i sum[DP_COLUMNS];
  DP_UNROLL for (int c = 0; c < columns; c++) sum[c] = _mm512_setzero_si512();
  while (groups > 0) {
    const size_t turn = groups < DP_S4_TURN ? groups : DP_S4_TURN;
    dp_signed_row row;
    dp_sign_row(x, turn, &row);
    for (size_t g = 0; g < turn; g++, w += DP_S4_GROUP_BYTES) {
      add_group(sum, row.x + g * DP_S4_GROUP, row.start + g, w, first, columns);
    }
    x += turn * DP_S4_GROUP;
    groups -= turn;
  }
  DP_UNROLL for (int c = 0; c < columns; c++) _mm512_store_si512(acc + c * DP_COLUMN, sum[c]);
}

#define CALL(n) gemv(xq, w, groups, first, n, acc)

void dp_gemv_s4_1x64c8_avx512vnni(const void *xq, const uint8_t *w, size_t groups, uint32_t first, uint32_t columns,
                                  int32_t *acc) {
  DP_SWITCH_4(columns, CALL)
}
