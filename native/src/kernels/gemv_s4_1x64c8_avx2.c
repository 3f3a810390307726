/*
 * gemv_s4_1x64c8_avx2.c: one row times up to a block of four bits, two columns at a time, whose sums of a group are
 * four registers. Memory is read as gemv_s8_1x64c4_avx2.c reads it.
 */
#include <string.h>

#include "../kernel_table.h"
#include "ahead.h"
#include "nibbles_madd256.h"

/* sum[c] += two quads of x * w, words. In assembly, with the load, for the reasons given in sign256.h. */
#define DOT_AT(sum, x0, x1, at, fifteens)                                              \
  do {                                                                                 \
    __m256i low_, high_;                                                               \
    __asm__(                                                                           \
        "vmovdqa %6, %1\n\t"                                                           \
        "vpsrlw $4, %1, %2\n\t"                                                        \
        "vpand %5, %1, %1\n\t"                                                         \
        "vpand %5, %2, %2\n\t"                                                         \
        "vpmaddubsw %3, %1, %1\n\t"                                                    \
        "vpmaddubsw %4, %2, %2\n\t"                                                    \
        "vpaddw %1, %0, %0\n\t"                                                        \
        "vpaddw %2, %0, %0"                                                            \
        : "+x"(sum), "=&x"(low_), "=&x"(high_)                                         \
        : "x"(x0), "x"(x1), "x"(fifteens), "m"(*(const __m256i *)(const void *)(at))); \
  } while (0)

/* acc += a group's sums of some columns, times their multipliers; w: the group's line of them, in it the columns. */
DP_INLINE void add_columns(const int8_t *x, int32_t start, const uint8_t *m, const uint8_t *pairs, const int columns,
                           int32_t *acc, const size_t ahead) {
  const int registers = columns * DP_REGISTERS;
  const __m256i fifteens = _mm256_set1_epi8(15);
  __m256i sum[2 * DP_REGISTERS];
  DP_UNROLL for (int r = 0; r < registers; r++) sum[r] = _mm256_set1_epi32(start);
  DP_UNROLL for (int pair = 0; pair < DP_S4_PAIRS; pair++, x += 2 * DP_KR, pairs += DP_QUAD_BYTES) {
    const __m256i x0 = dp_broadcast(x), x1 = dp_broadcast(x + DP_KR);
    DP_UNROLL for (int c = 0; c < columns; c++) _mm_prefetch(dp_asked_for(pairs + c * 64, 0, ahead), _MM_HINT_T0);
    DP_UNROLL for (int r = 0; r < registers; r++) { DOT_AT(sum[r], x0, x1, pairs + r * 32, fifteens); }
  }
  DP_UNROLL for (int r = 0; r < registers; r++) {
    const __m256i products = _mm256_madd_epi16(sum[r], dp_multipliers(m + r * DP_LANES));
    dp_store(acc + r * DP_LANES, _mm256_add_epi32(dp_load(acc + r * DP_LANES), products));
  }
}

DP_INLINE void add_group(const int8_t *x, const uint8_t *w, uint32_t first, const int columns, int32_t *acc,
                         const size_t ahead) {
  const int32_t start = dp_group_start(x);
  _mm_prefetch(dp_asked_for(w, 0, ahead), _MM_HINT_T0);
  DP_UNROLL for (int c = 0; c < columns; c += 2) {
    const uint8_t *m = w + (first + c) * DP_COLUMN, *pairs = w + DP_NR + (first + c) * 64;
    add_columns(x, start, m, pairs, columns - c < 2 ? 1 : 2, acc + c * DP_COLUMN, ahead);
  }
}

DP_INLINE void gemv(const int8_t *x, const uint8_t *w, size_t groups, uint32_t first, const int columns, int32_t *acc,
                    const int streams, const size_t ahead) {
  const size_t stretch = groups / streams;
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  for (size_t g = 0; g < stretch; g++) {
    for (int s = 0; s < streams; s++) {
      const size_t at = s * stretch + g;
      add_group(x + at * DP_S4_GROUP, w + at * DP_S4_GROUP_BYTES, first, columns, acc, ahead);
    }
  }
  for (size_t g = streams * stretch; g < groups; g++) {
    add_group(x + g * DP_S4_GROUP, w + g * DP_S4_GROUP_BYTES, first, columns, acc, ahead);
  }
}

#define BY_STRETCHES(n) gemv(xq, w, groups, first, n, acc, 4, DP_S4_GROUP_BYTES)
#define IN_ORDER(n) gemv(xq, w, groups, first, n, acc, 1, DP_PAGES_IN_TURN)

void dp_gemv_s4_1x64c8_avx2(const void *xq, const uint8_t *w, size_t groups, uint32_t first, uint32_t columns,
                            int32_t *acc) {
  if (__builtin_cpu_is("amd")) {
    DP_SWITCH_4(columns, BY_STRETCHES)
  } else {
    DP_SWITCH_4(columns, IN_ORDER)
  }
}
