/* roofline_wasmrelaxed.c: how fast relaxed SIMD can multiply bytes on this core. */
#include "../kernel_table.h"
#include "relaxed128.h"

uint64_t dp_peak_wasmrelaxed(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  v128_t sum[SUMS];
  int8_t three = 3, five = 5;
  __asm__("" : "+r"(three), "+r"(five)); /* see roofline_wasm.c */
  const v128_t x = wasm_i8x16_splat(three), w = wasm_i8x16_splat(five);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = wasm_i32x4_splat(i);
  for (uint64_t r = 0; r < rounds; r++) {
    DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = dp_dot(sum[i], x, w);
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= wasm_i32x4_extract_lane(sum[i], 0);
  return rounds * SUMS * 16;
}
