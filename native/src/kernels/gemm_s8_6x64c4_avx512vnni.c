/*
 * gemm_s8_6x64c4_avx512vnni.c: up to six rows times a block. 24 of the 32 registers are sums, four
 * hold a quad's weights, the rest one row's activations: per 24 multiplies only eleven loads.
 * A core that starts four instructions a cycle and multiplies in two pipes has time for as many others as there are
 * multiplies, and these must not take the multipliers' pipes: so a turn is four quads, whose addresses are constants.
 */
#include "../kernel_table.h"
#include "../registers.h"
#include "ahead.h"
#include "vnni512.h"

enum { TURN = 4 }; /* quads: a line of each of the pages that dp_line_ahead takes in turn */

/* Of all quads of a turn together clang would load weights early, into registers that sums need. */
#if defined(__clang__)
#define IN_ONE _Pragma("clang loop unroll(disable)")
#else
#define IN_ONE DP_UNROLL
#endif

DP_INLINE void add_quad(__m512i sum[6][DP_COLUMNS], const uint8_t *x, size_t stride, const int rows, const int8_t *w) {
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

DP_INLINE void tile(const uint8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads,
                    const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  __m512i sum[6][DP_COLUMNS];
  DP_UNROLL for (int c = 0; c < DP_COLUMNS; c++) {
    __m512i offset = dp_offset(col_sum + c * DP_COLUMN);
    DP_UNROLL for (int m = 0; m < rows; m++) sum[m][c] = offset;
  }
  size_t q = 0;
  for (; q + TURN <= quads; q += TURN, x += TURN * DP_KR, w += TURN * DP_QUAD_BYTES) {
    const int8_t *lines = dp_line_ahead(ahead, q);
    IN_ONE for (int i = 0; i < TURN; i++) {
      _mm_prefetch(lines + i * DP_AHEAD_PAGE, _MM_HINT_T1);
      add_quad(sum, x + i * DP_KR, stride, rows, w + i * DP_QUAD_BYTES);
    }
  }
  for (; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) add_quad(sum, x, stride, rows, w);
  DP_UNROLL for (int m = 0; m < rows; m++) {
    DP_UNROLL for (int c = 0; c < DP_COLUMNS; c++) { _mm512_store_si512(acc + m * DP_NR + c * DP_COLUMN, sum[m][c]); }
  }
}

#define CALL(n) tile(xq, stride, n, w, quads, col_sum, acc, ahead)

void dp_gemm_s8_6x64c4_avx512vnni(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                                  const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  DP_SWITCH_6(rows, CALL)
}
