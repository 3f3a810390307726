/* ahead.h: the order in which GEMM kernels ask for memory that will be multiplied soon. */
#ifndef DP_AHEAD_H
#define DP_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "../../include/dotpool.h"

enum { DP_AHEAD_PAGE = 4096 };

/*
 * Line q of the memory to ask for. Four pages take turns: the hardware prefetcher follows each stream
 * by itself, and has four times as long to run ahead of it, which a single stream does not give it.
 */
static inline const int8_t *dp_line_ahead(const int8_t *ahead, size_t q) {
  return ahead + (q & 3) * DP_AHEAD_PAGE + (q >> 2 & 63) * 64 + (q >> 8) * 16384;
}

/*
 * The line to ask for where `line` is read, for who reads memory in order: of the sixteen kilobytes that come next, lines
 * of four pages in turn, as above.
 */
static inline const void *dp_line_after(const void *line) {
  const uintptr_t at = (uintptr_t)line, four_pages = 4 * DP_AHEAD_PAGE;
  const uintptr_t page = at / 64 % 4, within = at / 256 % 64;
  return (const void *)(at / four_pages * four_pages + four_pages + page * DP_AHEAD_PAGE + within * 64);
}

/* The same for the line of column c from `first` on, that of the first column read of a quad, which has one in each page. */
static inline const void *dp_column_after(const void *first, int c) {
  return (const char *)dp_line_after(first) + c * DP_AHEAD_PAGE;
}

/* The same, or, where `ahead` is not DP_PAGES_IN_TURN, what lies so many bytes on. */
static inline const void *dp_asked_for(const void *first, int c, size_t ahead) {
  return ahead == DP_PAGES_IN_TURN ? dp_column_after(first, c) : (const char *)first + c * 64 + ahead;
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
