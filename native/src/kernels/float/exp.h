/* exp.h: e^x in float32 steps that every ISA takes alike. */
#ifndef DP_EXP_H
#define DP_EXP_H

#include "../../rounding.h"

/*
 * -87 and 88, which the compiler must not know: it would work out beforehand what follows from them, and
 * multiply with it in every lane; such products are denormal, and those take a hundred times as long.
 */
extern const float dp_exp_least, dp_exp_most;

/*
 * e^x = 2^n * e^r, n = rne(x / ln 2), |r| <= ln 2 / 2, e^r by a polynomial of degree 7; the constants
 * are those of expf in the Cephes library. Below 2 ulp off. x is taken to be in [-87, 88].
 */
static inline float dp_exp(float x) {
  x = x < dp_exp_least ? dp_exp_least : x;
  x = x > dp_exp_most ? dp_exp_most : x;
  const float shifted = x * 1.4426950408889634f + 12582912.0f; /* the integer in the low bits */
  const float n = shifted - 12582912.0f;
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r;
  p = p + 1.0f;
  const uint32_t power = (dp_float_bits(shifted) - 0x4b400000u + 127u) << 23;
  return p * dp_float_from_bits(power);
}

/* 1 / (1 + e^-x) */
static inline float dp_sigmoid(float x) { return 1.0f / (1.0f + dp_exp(-x)); }

#endif
