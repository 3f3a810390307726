/*
 * gemm_s8_4x16c4_avx2.c: a few rows times a block, four rows and a column at a time: eight of the 16 registers
 * are sums, four hold a quad's weights and their magnitudes. Columns take turns, and in each turn all rows pass,
 * so that weights are read from memory once.
 */
#include <string.h>

#include "../kernel_table.h"
#include "ahead.h"
#include "rows.h"
#include "sign256.h"

enum {
  MR = 4,
  TURN = 64,                    /* quads of one column before the next one's turn: 16 KiB of weights */
  AHEAD = TURN * DP_QUAD_BYTES, /* so the turns after these are on their way */
};

/* acc[m, n] += sum of a turn. */
static inline __attribute__((always_inline)) void tile(const int8_t *x, size_t stride, const int rows,
                                                       const int8_t *w, size_t quads, int32_t *acc,
                                                       dp_ahead ahead) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sum[MR][DP_REGISTERS];
  dp_load_sums(sum, rows, acc);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES, ahead.at += ahead.step) {
    /* where memory is all that takes time, several streams of it are faster than one */
    const uint32_t line = ahead.at >> 8;
    _mm_prefetch(rows <= 2 ? dp_line_ahead(ahead.memory, line) : ahead.memory + line * 64, _MM_HINT_T0);
    const __m256i w0 = dp_load(w), w1 = dp_load(w + 32);
    const __m256i magnitude0 = _mm256_abs_epi8(w0), magnitude1 = _mm256_abs_epi8(w1);
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) {
      __m256i xm = dp_broadcast(x + m * stride);
      DP_DOT_COLUMN(sum[m][0], sum[m][1], xm, w0, w1, magnitude0, magnitude1, ones);
    }
  }
  dp_store_sums(sum, rows, acc);
}

#define CALL(n) tile(x, stride, n, w, quads, acc, ahead)

static void panel(const int8_t *x, size_t stride, uint32_t rows, const int8_t *w, size_t quads, int32_t *acc,
                  dp_ahead ahead) {
  DP_SWITCH_ROWS_4(rows, CALL)
}

void dp_gemm_s8_4x16c4_avx2(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                            const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)col_sum;
  (void)ahead; /* it looks ahead in its own weights, which are read in order */
  const uint32_t panels = (rows + MR - 1) / MR;
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t q = 0; q < quads; q += TURN) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    const int8_t *stretch = w + q * DP_QUAD_BYTES;
    for (int c = 0; c < DP_COLUMNS; c++) {
      for (uint32_t p = 0, m = 0, end; p < panels; p++, m = end) {
        end = rows * (p + 1) / panels;
        panel((const int8_t *)xq + m * stride + q * DP_KR, stride, end - m, stretch + c * 64, count,
              acc + m * DP_NR + c * DP_COLUMN,
              dp_share_ahead(stretch + AHEAD, c * TURN, TURN, p, panels));
      }
    }
  }
}
