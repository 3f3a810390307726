/* roofline_wasm.c: how fast WebAssembly can read memory and multiply bytes on this core. */
#include "../kernels.h"
#include "madd128.h"

uint64_t dp_read_wasm(const void *x, size_t bytes) {
  v128_t sum[4];
  DP_UNROLL for (int i = 0; i < 4; i++) sum[i] = wasm_i64x2_splat(0);
  const char *at = x;
  for (const char *end = at + bytes; at < end; at += 64) {
    DP_UNROLL for (int i = 0; i < 4; i++) sum[i] = wasm_i64x2_add(sum[i], wasm_v128_load(at + i * 16));
  }
  const v128_t all = wasm_i64x2_add(wasm_i64x2_add(sum[0], sum[1]), wasm_i64x2_add(sum[2], sum[3]));
  return (uint64_t)wasm_i64x2_extract_lane(all, 0) + (uint64_t)wasm_i64x2_extract_lane(all, 1);
}

uint64_t dp_peak_wasm(uint64_t rounds, int32_t *sink) {
  enum { SUMS = 12 };
  v128_t sum[SUMS];
  const v128_t w = wasm_i16x8_splat(5);
  DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = wasm_i32x4_splat(i);
  for (uint64_t r = 0; r < rounds; r++) {
    /* each times itself, or the compiler multiplies only once */
    DP_UNROLL for (int i = 0; i < SUMS; i++) sum[i] = dp_madd(sum[i], sum[i], w);
  }
  DP_UNROLL for (int i = 0; i < SUMS; i++) *sink ^= wasm_i32x4_extract_lane(sum[i], 0);
  return rounds * SUMS * 8;
}
