/* ahead.h: the order in which GEMM kernels ask for memory that will be multiplied soon. */
#ifndef DP_AHEAD_H
#define DP_AHEAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Line q of the memory to ask for. Four pages take turns: the hardware prefetcher follows each stream
 * by itself, and has four times as long to run ahead of it, which a single stream does not give it.
 */
static inline const int8_t *dp_line_ahead(const int8_t *ahead, size_t q) {
  return ahead + (q & 3) * 4096 + (q >> 2 & 63) * 64 + (q >> 8) * 16384;
}

#endif
