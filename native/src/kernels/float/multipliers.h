/* multipliers.h: the multipliers of weights of four bits, of as many channels as a register has lanes. */
#ifndef DP_MULTIPLIERS_H
#define DP_MULTIPLIERS_H

#include <string.h>

#include "sum16.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm__)
#include <wasm_simd128.h>
#endif

typedef int32_t dp_lanes __attribute__((vector_size(DP_VECTOR_BYTES)));

enum { DP_COLUMN_REGISTERS = DP_PARTS /* of 32 bits for each channel of a column */ };

/* By name, for gcc 12 takes each byte by itself. */
static inline dp_lanes dp_multipliers_at(const uint8_t *m) {
#if defined(__AVX512F__)
  return (dp_lanes)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)m));
#elif defined(__AVX2__)
  return (dp_lanes)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)m));
#elif defined(__aarch64__)
  uint32_t bytes;
  memcpy(&bytes, m, sizeof bytes);
  return (dp_lanes)vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(bytes))));
#elif defined(__wasm__)
  return (dp_lanes)wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(m)));
#else
  dp_lanes wide;
  for (int i = 0; i < DP_PART_LANES; i++) wide[i] = (int8_t)m[i];
  return wide;
#endif
}

#endif
