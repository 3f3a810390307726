/* roofline_wasm.c: how fast WebAssembly without relaxed SIMD can multiply bytes on this core. */
#include "../kernel_table.h"
#include "madd128.h"

uint64_t dp_peak_wasm(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  v128_t sum[SUMS];
  int16_t five = 5;
  __asm__("" : "+r"(five)); /* or clang makes w anew in each round, as the constant that it is */
  const v128_t w = wasm_i16x8_splat(five);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = wasm_i32x4_splat(i);
  for (uint64_t r = 0; r < rounds; r++) {
    /* each times itself, or clang, or the engine, for whom assembly is none, multiplies only once */
    DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = dp_madd(sum[i], sum[i], w);
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= wasm_i32x4_extract_lane(sum[i], 0);
  return rounds * SUMS * 8;
}
