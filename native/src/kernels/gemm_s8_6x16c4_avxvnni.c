/*
 * gemm_s8_6x16c4_avxvnni.c: rows times a block, six of them and a column at a time. Twelve of the 16 registers
 * are sums, two hold a quad's weights, one a row's activations: per twelve multiplies eight loads. Columns take
 * turns every few kilobytes, and in each turn all rows pass, so that weights come from memory once, and from
 * the first-level cache for all rows but the first six.
 */
#include "../kernel_table.h"
#include "ahead.h"
#include "rows.h"
#include "vnni256.h"

enum {
  MR = 6,
  TURN = 64,                    /* quads of one column before the next one's turn: 16 KiB of weights */
  AHEAD = TURN * DP_QUAD_BYTES, /* so the turns after these are on their way */
};

/* acc[m, n] += sum of a turn. */
static inline __attribute__((always_inline)) void tile(const uint8_t *x, size_t stride, const int rows,
                                                       const int8_t *w, size_t quads, int32_t *acc,
                                                       dp_ahead ahead) {
  __m256i sum[MR][DP_REGISTERS];
  dp_load_sums(sum, rows, acc);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES, ahead.at += ahead.step) {
    _mm_prefetch(ahead.memory + (ahead.at >> 8) * 64, _MM_HINT_T0);
    const __m256i w0 = dp_load(w), w1 = dp_load(w + 32);
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
      const __m256i xm = dp_broadcast(x + m * stride);
      DP_VPDPBUSD(sum[m][0], xm, w0);
      DP_VPDPBUSD(sum[m][1], xm, w1);
    }
  }
  dp_store_sums(sum, rows, acc);
}

#define CALL(n) tile(x, stride, n, w, quads, acc, ahead)

static void panel(const uint8_t *x, size_t stride, uint32_t rows, const int8_t *w, size_t quads, int32_t *acc,
                  dp_ahead ahead) {
  DP_SWITCH_ROWS_6(rows, CALL)
}

void dp_gemm_s8_6x16c4_avxvnni(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                               const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)ahead; /* it looks ahead in its own weights, which are read in order */
  const uint32_t panels = (rows + MR - 1) / MR;
  for (int c = 0; c < DP_NR; c += DP_LANES) {
    const __m256i offset = dp_offset(col_sum + c);
    for (uint32_t m = 0; m < rows; m++) dp_store(acc + m * DP_NR + c, offset);
  }
  for (size_t q = 0; q < quads; q += TURN) {
    const size_t count = quads - q < TURN ? quads - q : TURN;
    const int8_t *stretch = w + q * DP_QUAD_BYTES;
    for (int c = 0; c < DP_COLUMNS; c++) {
      for (uint32_t p = 0, m = 0, end; p < panels; p++, m = end) {
        end = rows * (p + 1) / panels;
        panel((const uint8_t *)xq + m * stride + q * DP_KR, stride, end - m, stretch + c * 64, count,
              acc + m * DP_NR + c * DP_COLUMN,
              dp_share_ahead(stretch + AHEAD, c * TURN, TURN, p, panels));
      }
    }
  }
}
