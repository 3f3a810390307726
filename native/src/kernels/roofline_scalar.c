/*
 * roofline_scalar.c: how fast portable C can multiply. What it becomes is the compiler's choice, so this
 * runs the kernel itself, from the first-level cache.
 */
#include <string.h>

#include "../kernel_table.h"

uint64_t dp_peak_scalar(uint64_t rounds, int32_t *sink) {
  enum { QUADS = 64 };
  _Alignas(64) int8_t x[QUADS * DP_KR], w[QUADS * DP_QUAD_BYTES];
  _Alignas(64) int32_t acc[DP_NR];
  memset(x, 3, sizeof x);
  memset(w, 5, sizeof w);
  for (uint64_t r = 0; r < rounds; r += QUADS) {
    /* or a compiler that sees the kernel could run it once */
    __asm__ volatile("" ::: "memory");
    dp_gemv_s8_1x64c4_scalar(x, w, QUADS, DP_COLUMNS, NULL, acc);
    *sink ^= acc[r % DP_NR];
  }
  return (rounds + QUADS - 1) / QUADS * QUADS * DP_QUAD_BYTES;
}
