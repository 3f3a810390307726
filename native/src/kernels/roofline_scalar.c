/* roofline_scalar.c: how fast portable C can read and multiply. */
#include <string.h>

#include "../kernels.h"

uint64_t dp_read_scalar(const void *x, size_t bytes) {
  const uint64_t *words = x;
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes / sizeof *words; i++) sum += words[i];
  return sum;
}

/* The compiler decides what stays in registers, so this runs the kernel itself, on a first-level cache. */
uint64_t dp_peak_scalar(uint64_t rounds, int32_t *sink) {
  enum { QUADS = 64 };
  _Alignas(64) int8_t x[QUADS * DP_KR], w[QUADS * DP_QUAD_BYTES];
  _Alignas(64) int32_t acc[DP_NR];
  memset(x, 3, sizeof x);
  memset(w, 5, sizeof w);
  for (uint64_t r = 0; r < rounds; r += QUADS) {
    dp_gemv_s8_1x64c4_scalar(x, w, QUADS, DP_COLUMNS, NULL, acc);
    *sink ^= acc[r % DP_NR];
  }
  return (rounds + QUADS - 1) / QUADS * QUADS * DP_QUAD_BYTES;
}
