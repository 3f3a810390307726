/*
 * relaxed128.h: four byte products a lane in one instruction, for engines that have it. They may take the
 * second operand's top bit for a sign, as Arm's SDOT does, or not, as x86's VPDPBUSD; but every engine
 * always the same way. So activations are stored as q + offset, the offset being 0 or 128 as it likes.
 */
#ifndef DP_RELAXED128_H
#define DP_RELAXED128_H

#include <stdbool.h>

#include "simd128.h"

/* sum[c] += sum_j w[c][j] * x[c][j]; clang 16 has no other name for it */
DP_INLINE v128_t dp_dot(v128_t sum, v128_t x, v128_t w) {
  typedef signed char bytes __attribute__((vector_size(16)));
  typedef int words __attribute__((vector_size(16)));
  return (v128_t)__builtin_wasm_relaxed_dot_i8x16_i7x16_add_s_i32x4((bytes)w, (bytes)x, (words)sum);
}

/* What activations are stored shifted by: 128 if the bytes of x are unsigned, 0 if they are signed. */
DP_INLINE int32_t dp_offset(void) {
  const v128_t sums = dp_dot(wasm_i32x4_splat(0), wasm_i8x16_splat(-128), wasm_i8x16_splat(1));
  return wasm_i32x4_extract_lane(sums, 0) > 0 ? 128 : 0;
}

/* Where the sums of four channels start, so that the offset is taken off. */
DP_INLINE v128_t dp_first_sums(const int32_t *col_sum) {
  return wasm_i32x4_mul(wasm_v128_load(col_sum), wasm_i32x4_splat(-dp_offset()));
}

/* A quad of activations in every channel's place. */
DP_INLINE v128_t dp_broadcast_quad(const uint8_t *x) { return wasm_v128_load32_splat(x); }

/*
 * V8's first compiler does without SDOT, and adds two products in 16 bits. They hold all but twice (-128)^2.
 * So signed rows that hold -128, which quantised ones do not, are multiplied in two parts that do not.
 */
enum { DP_TURN = 64, DP_PIECE = DP_TURN * DP_KR, DP_ROWS = 6 };

typedef struct dp_parts {
  uint8_t most[DP_ROWS][DP_PIECE]; /* max(x, -127) */
  uint8_t rest[DP_ROWS][DP_PIECE]; /* x - max(x, -127) */
} dp_parts;

/* Whether there is a -128; may look at a few bytes after each row, which are there to keep rows apart. */
DP_INLINE bool dp_holds_least(const uint8_t *x, size_t stride, uint32_t rows, size_t quads) {
  v128_t found = wasm_i32x4_splat(0);
  for (uint32_t m = 0; m < rows; m++) {
    for (size_t i = 0; i < quads * DP_KR; i += 16) {
      found = wasm_v128_or(found, wasm_i8x16_eq(wasm_v128_load(x + m * stride + i), wasm_i8x16_splat(-128)));
    }
  }
  return wasm_v128_any_true(found);
}

DP_INLINE void dp_split(const uint8_t *x, size_t stride, uint32_t rows, size_t quads, dp_parts *parts) {
  for (uint32_t m = 0; m < rows; m++) {
    for (size_t i = 0; i < quads * DP_KR; i += 16) {
      const v128_t all = wasm_v128_load(x + m * stride + i);
      const v128_t most = wasm_i8x16_max(all, wasm_i8x16_splat(-127));
      wasm_v128_store(parts->most[m] + i, most);
      wasm_v128_store(parts->rest[m] + i, wasm_i8x16_sub(all, most));
    }
  }
}

#endif
