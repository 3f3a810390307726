/* gemv_s8_1x64c4_avx2.c: one row times up to a block, two columns (eight registers of sums) at a time. */
#include "../kernels.h"
#include "madd256.h"

/* See gemv_s8_1x64c4_avx512vnni.c. */
enum { AHEAD = 4096, REGISTERS = DP_COLUMN / 4 };

static inline __attribute__((always_inline)) void gemv(const int16_t *x, const int8_t *w, size_t quads,
                                                       const int columns, int32_t *acc) {
  __m256i sum[2 * REGISTERS];
#pragma GCC unroll 8
  for (int r = 0; r < columns * REGISTERS; r++) sum[r] = _mm256_setzero_si256();
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    __m256i xq = dp_broadcast_quad(x);
    _mm_prefetch(w + AHEAD, _MM_HINT_T0);
    if (columns == 2) _mm_prefetch(w + AHEAD + 64, _MM_HINT_T0);
#pragma GCC unroll 8
    for (int r = 0; r < columns * REGISTERS; r++) sum[r] = dp_madd(sum[r], xq, dp_widen(w + r * 16));
  }
#pragma GCC unroll 4
  for (int r = 0; r < columns * REGISTERS; r += 2) {
    _mm256_store_si256((__m256i *)(void *)(acc + r * 4), dp_fold(sum[r], sum[r + 1]));
  }
}

void dp_gemv_s8_1x64c4_avx2(const void *xq, const int8_t *w, size_t quads, uint32_t columns,
                            const int32_t *col_sum, int32_t *acc) {
  (void)col_sum;
  uint32_t c = 0;
  for (; c + 2 <= columns; c += 2) gemv(xq, w + c * 64, quads, 2, acc + c * DP_COLUMN);
  if (c < columns) gemv(xq, w + c * 64, quads, 1, acc + c * DP_COLUMN);
}
