/*
 * gemm_s8_4x16c4_avx2.c: a few rows times a block, four rows and a column at a time, as turns256.h orders them: eight
 * of the 16 registers are sums, four hold a quad's weights and their magnitudes.
 */
#include <string.h>

#include "../kernel_table.h"
#include "sign256.h"
#include "turns256.h"

enum { MR = 4 };

/* acc[m, n] += sum of a turn. */
DP_INLINE void tile(const char *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc,
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
    DP_UNROLL for (int m = 0; m < rows; m++) {
      __m256i xm = dp_broadcast(x + m * stride);
      DP_DOT_COLUMN(sum[m][0], sum[m][1], xm, w0, w1, magnitude0, magnitude1, ones);
    }
  }
  dp_store_sums(sum, rows, acc);
}

#define CALL(n) tile(x, stride, n, w, quads, acc, *ahead)

static void panel(const char *x, size_t stride, uint32_t rows, const void *w, size_t quads, int32_t *acc,
                  const dp_ahead *ahead) {
  DP_SWITCH_4(rows, CALL)
}

void dp_gemm_s8_4x16c4_avx2(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                            const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)col_sum;
  (void)ahead; /* it looks ahead in its own weights, which are read in order */
  const dp_turns turns = {.mr = MR, .quad_bytes = DP_KR, .column = dp_column_as_it_lies, .panel = panel};
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  dp_take_turns(turns, xq, stride, rows, w, quads, NULL, acc);
}
