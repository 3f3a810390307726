/*
 * sum16.h: sixteen running sums side by side, the one order in which all float ops here sum: lane l adds
 * v[l], v[l + 16], v[l + 32] ...; then l and l + 8 are added, l and l + 4, l and l + 2, 0 and 1.
 */
#ifndef DP_SUM16_H
#define DP_SUM16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

/* As wide as a register: the compiler keeps wider vectors than that in memory. */
#if defined(__AVX512F__)
#define DP_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define DP_VECTOR_BYTES 32
#else
#define DP_VECTOR_BYTES 16
#endif

enum { DP_LANES = 16, DP_PARTS = 64 / DP_VECTOR_BYTES, DP_PART_LANES = DP_LANES / DP_PARTS };

typedef float dp_floats __attribute__((vector_size(DP_VECTOR_BYTES)));
typedef uint32_t dp_words __attribute__((vector_size(DP_VECTOR_BYTES)));
typedef uint16_t dp_halves __attribute__((vector_size(DP_VECTOR_BYTES / 2)));

/* Floats from i on: of a float32 array, and of a bfloat16 one. */
static inline dp_floats dp_floats_f32(const void *values, size_t i) {
  dp_floats floats;
  memcpy(&floats, (const float *)values + i, sizeof floats);
  return floats;
}

static inline dp_floats dp_floats_bf16(const void *values, size_t i) {
  dp_halves halves;
  memcpy(&halves, (const uint16_t *)values + i, sizeof halves);
#if defined(__AVX512F__)
  /* gcc 12 takes four instructions for what is one */
  return (dp_floats)((dp_words)_mm512_cvtepu16_epi32((__m256i)halves) << 16);
#else
  return (dp_floats)(__builtin_convertvector(halves, dp_words) << 16);
#endif
}

/* Sixteen sums put together. */
static inline float dp_sum_lanes(const dp_floats lanes[DP_PARTS]) {
  typedef float eight __attribute__((vector_size(32)));
  typedef float four __attribute__((vector_size(16)));
  eight a[2];
  memcpy(a, lanes, sizeof a);
  const eight by8 = a[0] + a[1];
  four b[2];
  memcpy(b, &by8, sizeof b);
  const four by4 = b[0] + b[1];
  return (by4[0] + by4[2]) + (by4[1] + by4[3]);
}

/* sum_i x[i]^2 */
static inline float dp_sum_of_squares(const float *x, size_t k) {
  dp_floats lanes[DP_PARTS] = {{0}};
  size_t i = 0;
  for (; i + DP_LANES <= k; i += DP_LANES) {
    for (int p = 0; p < DP_PARTS; p++) {
      const dp_floats v = dp_floats_f32(x, i + p * DP_PART_LANES);
      lanes[p] += v * v;
    }
  }
  float last[DP_LANES] = {0};
  memcpy(last, x + i, (k - i) * sizeof *last);
  for (int p = 0; p < DP_PARTS; p++) {
    const dp_floats v = dp_floats_f32(last, p * DP_PART_LANES);
    lanes[p] += v * v;
  }
  return dp_sum_lanes(lanes);
}

#endif
