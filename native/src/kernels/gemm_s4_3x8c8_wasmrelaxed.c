/*
 * gemm_s4_3x8c8_wasmrelaxed.c: up to three rows times a block of four bits, eight channels at a time: six registers of
 * sums, four of weights, and one of activations for each row, of which quads are taken only when they are multiplied,
 * since V8 does all loads first. The channels take turns as in gemm_s8_6x8c4_wasmrelaxed.c.
 */
#include <string.h>

#include "../kernel_table.h"
#include "nibbles_relaxed128.h"

enum { MR = 3, CHANNELS = 8 };

/* acc += group g of a turn */
DP_INLINE void add_group(const dp_signed_row *row, size_t g, const int rows, const uint8_t *m, const uint8_t *pair,
                         int32_t *acc) {
  v128_t low[MR], high[MR];
  DP_UNROLL for (int i = 0; i < rows; i++) low[i] = high[i] = wasm_i32x4_splat(row[i].start[g]);
  const int8_t *x = row->x + g * DP_S4_GROUP;
  DP_ROLLED for (int k = 0; k < DP_S4_PAIRS; k++, x += 2 * DP_KR, pair += DP_QUAD_BYTES) {
    const v128_t nibbles0 = wasm_v128_load(pair), nibbles1 = wasm_v128_load(pair + 16);
    const v128_t quad0 = dp_low_nibbles(nibbles0), quad1 = dp_low_nibbles(nibbles1);
    const v128_t next0 = dp_high_nibbles(nibbles0), next1 = dp_high_nibbles(nibbles1);
    DP_UNROLL for (int i = 0; i < rows; i++) {
      const int8_t *xi = x + i * sizeof *row;
      const v128_t both = wasm_v128_load64_zero(xi);
      const v128_t x0 = wasm_i32x4_shuffle(both, both, 0, 0, 0, 0), x1 = wasm_i32x4_shuffle(both, both, 1, 1, 1, 1);
      low[i] = dp_dot(dp_dot(low[i], quad0, x0), next0, x1);
      high[i] = dp_dot(dp_dot(high[i], quad1, x0), next1, x1);
    }
  }
  const v128_t eight = dp_multipliers(m), first = dp_first_four(eight), last = dp_last_four(eight);
  DP_UNROLL for (int i = 0; i < rows; i++) {
    dp_add_products(acc + i * DP_NR, low[i], first);
    dp_add_products(acc + i * DP_NR + 4, high[i], last);
  }
}

DP_INLINE void turn(const dp_signed_row *row, const int rows, const uint8_t *w, size_t groups, int32_t *acc) {
  for (int c = 0; c < DP_NR; c += CHANNELS) {
    const uint8_t *group = w;
    for (size_t g = 0; g < groups; g++, group += DP_S4_GROUP_BYTES) {
      add_group(row, g, rows, group + c, group + DP_NR + c * DP_KR, acc + c);
    }
  }
}

#define CALL(n) turn(row, n, w, count, acc)

void dp_gemm_s4_3x8c8_wasmrelaxed(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups,
                                  int32_t *acc) {
  const uint8_t *x = xq;
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t g = 0; g < groups; g += DP_S4_TURN, x += DP_S4_TURN * DP_S4_GROUP) {
    const size_t count = groups - g < DP_S4_TURN ? groups - g : DP_S4_TURN;
    dp_signed_row row[MR];
    for (uint32_t m = 0; m < rows; m++) dp_sign_row(x + m * stride, count, &row[m]);
    DP_SWITCH_3(rows, CALL)
    w += count * DP_S4_GROUP_BYTES;
  }
}
