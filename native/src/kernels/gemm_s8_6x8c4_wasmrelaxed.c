/*
 * gemm_s8_6x8c4_wasmrelaxed.c: up to six rows times a block, eight channels at a time: twelve registers of
 * sums, two of weights, one of activations, which are all that engines on x86 have to give. The channels take
 * turns every 16 KiB of weights.
 */
#include "../kernel_table.h"
#include "../registers.h"
#include "relaxed128.h"

enum { CHANNELS = 8 };

DP_INLINE void turn(const uint8_t *x, size_t stride, const int rows, const int8_t *w, size_t quads, int32_t *acc) {
  v128_t low[DP_ROWS], high[DP_ROWS];
  DP_UNROLL for (int m = 0; m < rows; m++) {
    low[m] = wasm_v128_load(acc + m * DP_NR);
    high[m] = wasm_v128_load(acc + m * DP_NR + 4);
  }
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    const v128_t w0 = wasm_v128_load(w), w1 = wasm_v128_load(w + 16);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      const v128_t xm = dp_broadcast_quad(x + m * stride);
      low[m] = dp_dot(low[m], xm, w0);
      high[m] = dp_dot(high[m], xm, w1);
    }
  }
  DP_UNROLL for (int m = 0; m < rows; m++) {
    wasm_v128_store(acc + m * DP_NR, low[m]);
    wasm_v128_store(acc + m * DP_NR + 4, high[m]);
  }
}

#define CALL(n) turn(x, stride, n, w, quads, acc)

static void turns(const uint8_t *x, size_t stride, uint32_t rows, const int8_t *w, size_t quads, int32_t *acc) {
  for (int c = 0; c < DP_NR; c += CHANNELS, w += CHANNELS * DP_KR, acc += CHANNELS) {
    DP_SWITCH_6(rows, CALL)
  }
}

void dp_gemm_s8_6x8c4_wasmrelaxed(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                                  const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)ahead;
  const uint8_t *x = xq;
  const bool is_signed = dp_offset() == 0;
  for (int n = 0; n < DP_NR; n += 4) {
    const v128_t first = dp_first_sums(col_sum + n);
    for (uint32_t m = 0; m < rows; m++) wasm_v128_store(acc + m * DP_NR + n, first);
  }
  for (size_t q = 0; q < quads; q += DP_TURN, x += DP_PIECE, w += DP_TURN * DP_QUAD_BYTES) {
    const size_t count = quads - q < DP_TURN ? quads - q : DP_TURN;
    if (is_signed && dp_holds_least(x, stride, rows, count)) {
      dp_parts parts;
      dp_split(x, stride, rows, count, &parts);
      turns(parts.most[0], DP_PIECE, rows, w, count, acc);
      turns(parts.rest[0], DP_PIECE, rows, w, count, acc);
    } else {
      turns(x, stride, rows, w, count, acc);
    }
  }
}
