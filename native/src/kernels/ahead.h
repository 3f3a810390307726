/* ahead.h: the order in which GEMM kernels ask for memory that will be multiplied soon. */
#ifndef DP_AHEAD_H
#define DP_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { DP_AHEAD_PAGE = 4096 };

/*
 * Line q of the memory to ask for. Four pages take turns: the hardware prefetcher follows each stream
 * by itself, and has four times as long to run ahead of it, which a single stream does not give it.
 */
static inline const int8_t *dp_line_ahead(const int8_t *ahead, size_t q) {
  return ahead + (q & 3) * DP_AHEAD_PAGE + (q >> 2 & 63) * 64 + (q >> 8) * 16384;
}

/*
 * What the panels of a turn ask for, each for its part, evenly: lines that come faster than memory gives them
 * would keep the loads behind them waiting.
 */
typedef struct dp_ahead {
  const int8_t *memory;
  uint32_t at, step; /* line, and lines per quad, in 1/256 */
} dp_ahead;

/* Panel `panel` of `panels` asks for its part of `lines` lines of memory from `first` on, in as many quads. */
static inline dp_ahead dp_share_ahead(const int8_t *memory, uint32_t first, uint32_t lines, uint32_t panel,
                                      uint32_t panels) {
  const uint32_t step = 256 / panels;
  return (dp_ahead){.memory = memory, .at = (first << 8) + lines * panel * step, .step = step};
}

#endif
