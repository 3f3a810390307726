/* probe_wasmrelaxed.c: does this engine multiply bytes exactly? */
#include "../kernel_table.h"
#include "relaxed128.h"

/*
 * Engines without an instruction for it add two products in 16 bits. For unsigned bytes these saturate; for
 * signed ones they hold all products but those of -128 and -128, which the kernels avoid. There is no more
 * to it, so that the extremes show it.
 */
const char *dp_obstacle_wasmrelaxed(void) {
  const int32_t extremes[] = {-128, -127, -1, 0, 1, 127}, start = 1 << 30, offset = dp_offset();
  const int count = sizeof extremes / sizeof *extremes;
  for (int i = 0; i < count * count; i++) {
    const int32_t w = extremes[i / count], x = extremes[i % count];
    if (offset == 0 && x == -128) continue;
    const v128_t stored = wasm_i8x16_splat((int8_t)(x + offset));
    const v128_t sums = dp_dot(wasm_i32x4_splat(start), stored, wasm_i8x16_splat((int8_t)w));
    if (wasm_i32x4_extract_lane(sums, 0) != start + DP_KR * w * (x + offset)) {
      return "this engine does not multiply bytes exactly";
    }
  }
  return NULL;
}
