/*
 * gemv_s8_1x64c4_avx2.c: one row times up to a block, eight registers of sums. Bound by memory: on AMD's cores
 * four stretches of k are read by turns, because hardware prefetches each of several streams by itself, and far
 * requests only disturb it; Intel's cores want one stream, and to be asked well ahead.
 */
#include "../kernel_table.h"
#include "ahead.h"
#include "sign256.h"

/* sum += x * w, one quad; asks for what lies `ahead` bytes on. */
DP_INLINE void add_quad(__m256i *sum, const int registers, const int8_t *x, const int8_t *w, const size_t ahead) {
  const __m256i xq = dp_broadcast(x), ones = _mm256_set1_epi16(1);
  DP_UNROLL for (int c = 0; c < registers / DP_REGISTERS; c++) _mm_prefetch(dp_asked_for(w, c, ahead), _MM_HINT_T0);
  DP_UNROLL for (int r = 0; r < registers; r++) DP_DOT_AT(sum[r], xq, w + r * 32, ones);
}

DP_INLINE void gemv(const int8_t *x, const int8_t *w, size_t quads, const int columns, int32_t *acc, const int streams,
                    const size_t ahead) {
  const int registers = columns * DP_REGISTERS;
  const size_t stretch = quads / streams;
  __m256i sum[DP_NR / DP_LANES];
  DP_UNROLL for (int r = 0; r < registers; r++) sum[r] = _mm256_setzero_si256();
  for (size_t q = 0; q < stretch; q++) {
    DP_UNROLL for (int s = 0; s < streams; s++) {
      const size_t at = s * stretch + q;
      add_quad(sum, registers, x + at * DP_KR, w + at * DP_QUAD_BYTES, ahead);
    }
  }
  for (size_t q = streams * stretch; q < quads; q++) {
    add_quad(sum, registers, x + q * DP_KR, w + q * DP_QUAD_BYTES, ahead);
  }
  DP_UNROLL for (int r = 0; r < registers; r++) dp_store(acc + r * DP_LANES, sum[r]);
}

#define BY_STRETCHES(n) gemv(xq, w, quads, n, acc, 4, DP_QUAD_BYTES)
#define IN_ORDER(n) gemv(xq, w, quads, n, acc, 1, DP_PAGES_IN_TURN)

void dp_gemv_s8_1x64c4_avx2(const void *xq, const int8_t *w, size_t quads, uint32_t columns, const int32_t *col_sum,
                            int32_t *acc) {
  (void)col_sum;
  if (__builtin_cpu_is("amd")) {
    DP_SWITCH_4(columns, BY_STRETCHES)
  } else {
    DP_SWITCH_4(columns, IN_ORDER)
  }
}
