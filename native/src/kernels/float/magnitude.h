/* magnitude.h: |x| of a register of float32, as bits: for floats that are not negative these have the same order. */
#ifndef DP_MAGNITUDE_H
#define DP_MAGNITUDE_H

#include "sum16.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm__)
#include <wasm_simd128.h>
#endif

static inline dp_words dp_magnitudes(const float *x) { return (dp_words)dp_floats_f32(x, 0) & 0x7fffffffu; }

/* The larger of each pair of lanes. */
static inline dp_words dp_larger(dp_words a, dp_words b) {
#if defined(__AVX512F__)
  return (dp_words)_mm512_max_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (dp_words)_mm256_max_epu32((__m256i)a, (__m256i)b);
#elif defined(__aarch64__)
  return (dp_words)vmaxq_u32((uint32x4_t)a, (uint32x4_t)b);
#elif defined(__wasm__)
  return (dp_words)wasm_u32x4_max((v128_t)a, (v128_t)b);
#else
  const dp_words is_larger = (dp_words)(a > b);
  return (a & is_larger) | (b & ~is_larger);
#endif
}

/* All ones in every lane that is above the bound; both are below 2^31. */
static inline dp_words dp_is_above(dp_words lanes, uint32_t bound) {
  typedef int32_t ints __attribute__((vector_size(DP_VECTOR_BYTES)));
  return (dp_words)((ints)lanes > (ints){0} + (int32_t)bound);
}

/* Bit i is set where lane i is not zero; every lane is all ones or zero. */
static inline uint32_t dp_lane_bits(dp_words lanes) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)lanes, (__m512i)lanes);
#elif defined(__AVX2__)
  return (uint32_t)_mm256_movemask_ps((__m256)lanes);
#elif defined(__aarch64__)
  return vaddvq_u32((uint32x4_t)(lanes & (dp_words){1, 2, 4, 8}));
#elif defined(__wasm__)
  return wasm_i32x4_bitmask((v128_t)lanes);
#else
  uint32_t bits = 0;
  for (uint32_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) bits |= lanes[i] & 1u << i;
  return bits;
#endif
}

#endif
