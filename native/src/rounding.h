/* rounding.h: the float32 steps of quantisation, one operation each, the same bits everywhere. */
#ifndef DP_ROUNDING_H
#define DP_ROUNDING_H

#include <stdint.h>
#include <string.h>

static inline uint32_t dp_float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float dp_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline float dp_bf16_to_float(uint16_t bits) { return dp_float_from_bits((uint32_t)bits << 16); }

/* Rounds to nearest, ties to even; NaN gives 0x7fc0. */
static inline uint16_t dp_float_to_bf16(float value) {
  uint32_t bits = dp_float_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

/* Nearest integer, ties to even, for |value| < 2^22: adding 1.5 * 2^23 leaves no fraction bits. */
static inline float dp_round(float value) { return (value + 12582912.0f) - 12582912.0f; }

/*
 * The bits of |value|. For non-negative floats the order of the bits is the order of the values, and
 * infinities and NaN come last: an integer maximum finds absmax and whether all is finite.
 */
static inline uint32_t dp_magnitude(float value) { return dp_float_bits(value) & 0x7fffffffu; }

#define DP_INFINITY_BITS 0x7f800000u
#define DP_NAN_BITS 0x7fc00000u
#define DP_ABSMAX_FLOOR 1e-8f

#endif
