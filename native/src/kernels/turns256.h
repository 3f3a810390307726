/*
 * turns256.h: the order in which GEMM kernels of 256-bit registers pass a block: acc[m, n] += sum_k x[m, k] * w[n, k].
 * A column at a time has its sums in registers. Columns take turns every few kilobytes, and in each turn all rows pass,
 * in panels, so that weights come from memory once, and from the first-level cache for all panels but the first.
 */
#ifndef DP_TURNS256_H
#define DP_TURNS256_H

#include "ahead.h"
#include "lanes256.h"

enum {
  DP_TURN = 64,                            /* quads of one column before the next one's: 16 KiB of weights */
  DP_TURN_AHEAD = DP_TURN * DP_QUAD_BYTES, /* so the turns after these are on their way */
};

/* What a kernel does in it. */
typedef struct dp_turns {
  uint32_t mr;       /* most rows of a panel */
  size_t quad_bytes; /* of activations */
  /* a turn's weights as `panel` wants them, which may be written to `room`; w: [quads], each DP_QUAD_BYTES on */
  const void *(*column)(const int8_t *w, size_t quads, void *room);
  /* acc[m, n] += the turn's products; x: rows `stride` bytes apart */
  void (*panel)(const char *x, size_t stride, uint32_t rows, const void *w, size_t quads, int32_t *acc,
                const dp_ahead *ahead);
} dp_turns;

/* For dp_turns.column: as they lie. */
static inline const void *dp_column_as_it_lies(const int8_t *w, size_t quads, void *room) {
  (void)quads, (void)room;
  return w;
}

/* acc: where sums start. `turns` is known to the compiler. */
DP_INLINE void dp_take_turns(const dp_turns turns, const char *x, size_t stride, uint32_t rows, const int8_t *w,
                             size_t quads, void *room, int32_t *acc) {
  const uint32_t panels = (rows + turns.mr - 1) / turns.mr;
  for (size_t q = 0; q < quads; q += DP_TURN, x += DP_TURN * turns.quad_bytes) {
    const size_t count = quads - q < DP_TURN ? quads - q : DP_TURN;
    const int8_t *stretch = w + q * DP_QUAD_BYTES;
    for (int c = 0; c < DP_COLUMNS; c++) {
      const void *column = turns.column(stretch + c * DP_COLUMN * DP_KR, count, room);
      for (uint32_t p = 0, m = 0, end; p < panels; p++, m = end) {
        end = rows * (p + 1) / panels;
        const dp_ahead ahead = dp_share_ahead(stretch + DP_TURN_AHEAD, c * DP_TURN, DP_TURN, p, panels);
        turns.panel(x + m * stride, stride, end - m, column, count, acc + m * DP_NR + c * DP_COLUMN, &ahead);
      }
    }
  }
}

#endif
