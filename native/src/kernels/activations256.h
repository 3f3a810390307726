/* activations256.h: how AVX2's kernels store a row of activations. */
#ifndef DP_ACTIVATIONS256_H
#define DP_ACTIVATIONS256_H

#include "../tiles.h"

/*
 * Twice: as bytes, for kernels that multiply weights as they lie in memory; then, from the next cache line on,
 * as words, for those that widen weights first.
 */
static inline void *dp_words(const void *xq, size_t quads) {
  const size_t lines = (quads * DP_KR + DP_CACHE_LINE - 1) / DP_CACHE_LINE;
  return (char *)xq + lines * DP_CACHE_LINE;
}

#endif
