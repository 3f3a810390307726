/*
 * gemv_s4_1x64c8_avxvnni.c: one row times up to a block of four bits. Eight of the 16 registers are a group's sums; those
 * of groups before it stay in memory. See gemv_s8_1x64c4_avx512vnni.c.
 */
#include <string.h>

#include "../kernel_table.h"
#include "ahead.h"
#include "nibbles_vnni256.h"

/* sum[c] += two quads of x * w. In assembly, with the load, for the reasons given in sign256.h. */
#define DOT_AT(sum, x0, x1, at, fifteens)                                              \
  do {                                                                                 \
    __m256i low_, high_;                                                               \
    __asm__(                                                                           \
        "vmovdqa %6, %1\n\t"                                                           \
        "vpsrlw $4, %1, %2\n\t"                                                        \
        "vpand %5, %1, %1\n\t"                                                         \
        "vpand %5, %2, %2\n\t"                                                         \
        "%{vex%} vpdpbusd %3, %1, %0\n\t"                                              \
        "%{vex%} vpdpbusd %4, %2, %0"                                                  \
        : "+x"(sum), "=&x"(low_), "=&x"(high_)                                         \
        : "x"(x0), "x"(x1), "x"(fifteens), "m"(*(const __m256i *)(const void *)(at))); \
  } while (0)

/* acc += a group's sums, times their multipliers */
DP_INLINE void add_group(const int8_t *x, const int32_t *start, const uint8_t *w, uint32_t first, const int columns,
                         int32_t *acc) {
  const int registers = columns * DP_REGISTERS;
  const __m256i fifteens = _mm256_set1_epi8(15);
  __m256i sum[DP_NR / DP_LANES];
  _mm_prefetch(dp_line_after(w), _MM_HINT_T0);
  DP_UNROLL for (int r = 0; r < registers; r++) sum[r] = _mm256_set1_epi32(*start);
  DP_UNROLL for (int pair = 0; pair < DP_S4_PAIRS; pair++, x += 2 * DP_KR) {
    const uint8_t *line = w + DP_NR + pair * DP_QUAD_BYTES + first * 64;
    const __m256i x0 = dp_broadcast(x), x1 = dp_broadcast(x + DP_KR);
    DP_UNROLL for (int c = 0; c < columns; c++, line += 64) {
      _mm_prefetch(dp_line_after(line), _MM_HINT_T0);
      DOT_AT(sum[c * DP_REGISTERS], x0, x1, line, fifteens);
      DOT_AT(sum[c * DP_REGISTERS + 1], x0, x1, line + 32, fifteens);
    }
  }
  DP_UNROLL for (int r = 0; r < registers; r++) {
    __m256i total = dp_load(acc + r * DP_LANES);
    DP_VPDPWSSD(total, sum[r], dp_multiplier_words(w + first * DP_COLUMN + r * DP_LANES));
    dp_store(acc + r * DP_LANES, total);
  }
}

DP_INLINE void gemv(const uint8_t *x, const uint8_t *w, size_t groups, uint32_t first, const int columns,
                    int32_t *acc) {
  memset(acc, 0, columns * DP_COLUMN * sizeof *acc);
  while (groups > 0) {
    const size_t turn = groups < DP_S4_TURN ? groups : DP_S4_TURN;
    dp_signed_row row;
    dp_sign_row(x, turn, &row);
    for (size_t g = 0; g < turn; g++, w += DP_S4_GROUP_BYTES) {
      add_group(row.x + g * DP_S4_GROUP, row.start + g, w, first, columns, acc);
    }
    x += turn * DP_S4_GROUP;
    groups -= turn;
  }
}

#define CALL(n) gemv(xq, w, groups, first, n, acc)

void dp_gemv_s4_1x64c8_avxvnni(const void *xq, const uint8_t *w, size_t groups, uint32_t first, uint32_t columns,
                               int32_t *acc) {
  DP_SWITCH_4(columns, CALL)
}
