/*
 * gemm_s8_6x64c4_avx512vnni.c: up to six rows times a block. 24 of the 32 registers are sums, four
 * hold a quad's weights, the rest one row's activations: per 24 multiplies only eleven loads.
 */
#include "../kernel_table.h"
#include "../registers.h"
#include "ahead.h"
#include "vnni512.h"

DP_INLINE void tile(const uint8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads,
                    const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  __m512i sum[6][DP_COLUMNS];
  DP_UNROLL for (int c = 0; c < DP_COLUMNS; c++) {
    __m512i offset = dp_offset(col_sum + c * DP_COLUMN);
    DP_UNROLL for (int m = 0; m < rows; m++) sum[m][c] = offset;
  }
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    _mm_prefetch(dp_line_ahead(ahead, q), _MM_HINT_T1);
    __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
    __m512i w2 = _mm512_load_si512(w + 128), w3 = _mm512_load_si512(w + 192);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      __m512i xm = dp_broadcast_quad(x + m * stride);
      DP_VPDPBUSD(sum[m][0], xm, w0);
      DP_VPDPBUSD(sum[m][1], xm, w1);
      DP_VPDPBUSD(sum[m][2], xm, w2);
      DP_VPDPBUSD(sum[m][3], xm, w3);
    }
  }
  DP_UNROLL for (int m = 0; m < rows; m++) {
    DP_UNROLL for (int c = 0; c < DP_COLUMNS; c++) { _mm512_store_si512(acc + m * DP_NR + c * DP_COLUMN, sum[m][c]); }
  }
}

#define CALL(n) tile(xq, stride, n, w, quads, col_sum, acc, ahead)

void dp_gemm_s8_6x64c4_avx512vnni(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                                  const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  DP_SWITCH_6(rows, CALL)
}
