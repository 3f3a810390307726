/* chunks.h: how the rows of a multiplication are cut where they are many. */
#ifndef DP_CHUNKS_H
#define DP_CHUNKS_H

#include "../system.h"
#include "op.h"

enum { DP_UNITS_PER_THREAD = 24 }; /* enough that the last unit of a slow worker costs little */

/*
 * Into how many chunks M rows are cut, each times `columns` pieces of the weights. At most `cached` rows, so that they
 * stay in the L2 cache; more chunks where pieces are few to share out, but none of fewer than `least` rows, for which
 * it would not pay to load a piece of the weights.
 */
static inline uint32_t dp_row_chunks(uint64_t m, uint64_t cached, uint64_t least, uint64_t columns, uint32_t threads) {
  const uint64_t for_cache = dp_divide_up(m, cached), most = dp_divide_up(m, least);
  const uint64_t wanted = dp_divide_up((uint64_t)DP_UNITS_PER_THREAD * threads, columns);
  const uint64_t for_sharing = wanted < most ? wanted : most;
  return dp_at_least(for_cache > for_sharing ? for_cache : for_sharing, 1);
}

/* Where part i of n begins when `rows` rows are shared out evenly, in whole units of `unit` rows. */
static inline uint64_t dp_cut(uint64_t rows, uint32_t unit, uint64_t i, uint64_t n) {
  const uint64_t at = dp_divide_up(rows, unit) * i / n * unit;
  return at < rows ? at : rows;
}

#endif
