/*
 * gemm_s8_6x16c4_avxvnni.c: rows times a block, six of them and a column at a time, as turns256.h orders them. Twelve
 * of the 16 registers are sums, two hold a quad's weights, one a row's activations: per twelve multiplies eight loads.
 */
#include "../kernel_table.h"
#include "turns256.h"
#include "vnni256.h"

enum { MR = 6 };

/* acc[m, n] += sum of a turn. */
DP_INLINE void tile(const char *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc,
                    dp_ahead ahead) {
  __m256i sum[MR][DP_REGISTERS];
  dp_load_sums(sum, rows, acc);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES, ahead.at += ahead.step) {
    _mm_prefetch(ahead.memory + (ahead.at >> 8) * 64, _MM_HINT_T0);
    const __m256i w0 = dp_load(w), w1 = dp_load(w + 32);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      const __m256i xm = dp_broadcast(x + m * stride);
      DP_VPDPBUSD(sum[m][0], xm, w0);
      DP_VPDPBUSD(sum[m][1], xm, w1);
    }
  }
  dp_store_sums(sum, rows, acc);
}

#define CALL(n) tile(x, stride, n, w, quads, acc, *ahead)

static void panel(const char *x, size_t stride, uint32_t rows, const void *w, size_t quads, int32_t *acc,
                  const dp_ahead *ahead) {
  DP_SWITCH_6(rows, CALL)
}

void dp_gemm_s8_6x16c4_avxvnni(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                               const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)ahead; /* it looks ahead in its own weights, which are read in order */
  const dp_turns turns = {.mr = MR, .quad_bytes = DP_KR, .column = dp_column_as_it_lies, .panel = panel};
  for (int c = 0; c < DP_NR; c += DP_LANES) {
    const __m256i offset = dp_offset(col_sum + c);
    for (uint32_t m = 0; m < rows; m++) dp_store(acc + m * DP_NR + c, offset);
  }
  dp_take_turns(turns, xq, stride, rows, w, quads, NULL, acc);
}
