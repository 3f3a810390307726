/* maximum.h: the largest of many floats, and whether there is a NaN among them. */
#ifndef DP_MAXIMUM_H
#define DP_MAXIMUM_H

#include <stddef.h>

#include "../../rounding.h"

/*
 * As integers, so that the compiler vectorises it: floats are ordered like their bits, negative ones the
 * other way round. A NaN is returned where there is one; +0 is above -0.
 */
static inline float dp_maximum(const float *values, size_t n) {
  int32_t best = INT32_MIN;
  uint32_t most = 0;
  for (size_t i = 0; i < n; i++) {
    const int32_t bits = (int32_t)dp_float_bits(values[i]);
    const int32_t order = bits ^ (bits >> 31 & INT32_MAX);
    const uint32_t magnitude = dp_magnitude(values[i]);
    best = order > best ? order : best;
    most = magnitude > most ? magnitude : most;
  }
  if (most > DP_INFINITY_BITS) return dp_float_from_bits(DP_NAN_BITS);
  return dp_float_from_bits((uint32_t)(best ^ (best >> 31 & INT32_MAX)));
}

#endif
