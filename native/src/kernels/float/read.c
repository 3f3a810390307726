/*
 * read.c: sum of all 64-bit words of x, as fast as memory gives them. Which order is fastest differs between
 * CPUs: some follow one stream and want to be asked far ahead, some of several pages, some are slowed down by that and
 * read four places at once faster than one. So both are the caller's to choose.
 */
#include <string.h>

#include "../../kernel_table.h"
#include "../../registers.h"
#include "../ahead.h"
#include "per_isa.h"

#if defined(__AVX512F__)
enum { BYTES = 64 };
typedef uint64_t words __attribute__((vector_size(64)));
#elif defined(__AVX2__)
enum { BYTES = 32 };
typedef uint64_t words __attribute__((vector_size(32)));
#elif defined(__SSE2__) || defined(__ARM_NEON) || defined(__wasm_simd128__)
enum { BYTES = 16 };
typedef uint64_t words __attribute__((vector_size(16)));
#else
enum { BYTES = 8 };
typedef uint64_t words;
#endif

enum { LINE = DP_CACHE_LINE, PARTS = LINE / BYTES, LINES = 4 };

/* Four lines, `span` bytes apart, in each turn; the next turn's are `step` bytes on. */
DP_INLINE words read_lines(const char *x, size_t turns, size_t step, size_t span, const int asks, size_t ahead) {
  words sum[LINES] = {0};
  for (; turns > 0; turns--, x += step) {
    DP_UNROLL for (int l = 0; l < LINES; l++) {
      const char *line = x + l * span;
      if (asks) __builtin_prefetch(dp_asked_for(line, 0, ahead));
      DP_UNROLL for (int p = 0; p < PARTS; p++) sum[l] += *(const words *)(const void *)(line + p * BYTES);
    }
  }
  return sum[0] + sum[1] + sum[2] + sum[3];
}

uint64_t DP_PER_ISA(dp_read)(const void *x, size_t bytes, dp_read_order order) {
  const size_t turns = bytes / (LINES * LINE);
  const size_t step = order.streams == 1 ? LINES * LINE : LINE;
  const size_t span = order.streams == 1 ? LINE : bytes / LINES;
  const words sum = order.ahead == 0                  ? read_lines(x, turns, step, span, 0, 0)
                    : order.ahead == DP_PAGES_IN_TURN ? read_lines(x, turns, step, span, 1, DP_PAGES_IN_TURN)
                                                      : read_lines(x, turns, step, span, 1, order.ahead);
  uint64_t each[BYTES / sizeof(uint64_t)], total = 0;
  memcpy(each, &sum, sizeof each);
  for (size_t i = 0; i < sizeof each / sizeof *each; i++) total += each[i];
  return total;
}
