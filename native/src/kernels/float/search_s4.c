/*
 * search_s4.c: weights w[K] of an output channel as s * v[k] * m[k / 32], v in -8 .. 7, so that
 * sum_k h[k] (w[k] - s v[k] m[k / 32])^2 is small. The same float32 steps as src/reference/int4-search.ts, which tells
 * how it is searched. A group of 32 weights is two halves of sixteen lanes.
 */
#include "../../kernel_table.h"
#include "../../registers.h"
#include "../../rounding.h"
#include "per_isa.h"
#include "sum16.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm__)
#include <wasm_simd128.h>
#endif

enum { GROUP = DP_S4_GROUP, MOST = 16, LEAST = -15, MULTIPLES = 18, FITS = 3 };

static const float LEAST_ABSMAX = 0x1p-26f;
static const float REACHES[] = {7, 7.5f, 8, 8.5f, 9, 9.5f, 10, 11, 12};
static const int8_t MULTIPLE[MULTIPLES] = {16, 15, 14, 13, 12, 11, 10, 9, 17, 18, 8, 7, 6, 5, 4, 3, 2, 1};

enum { REACH_COUNT = sizeof REACHES / sizeof *REACHES };

typedef struct search {
  size_t groups;
  const float *x, *h; /* [groups][32], padded with zeros */
  dp_s4_steps *steps; /* [groups] */
} search;

/* Each lane between two bounds; none is NaN. */
static inline dp_floats clamped(dp_floats v, float least, float most) {
  const dp_floats low = (dp_floats){0} + least, high = (dp_floats){0} + most;
#if defined(__AVX512F__)
  return (dp_floats)_mm512_max_ps(_mm512_min_ps((__m512)v, (__m512)high), (__m512)low);
#elif defined(__AVX2__)
  return (dp_floats)_mm256_max_ps(_mm256_min_ps((__m256)v, (__m256)high), (__m256)low);
#elif defined(__aarch64__)
  return (dp_floats)vmaxq_f32(vminq_f32((float32x4_t)v, (float32x4_t)high), (float32x4_t)low);
#elif defined(__wasm__)
  return (dp_floats)wasm_f32x4_pmax(wasm_f32x4_pmin((v128_t)v, (v128_t)high), (v128_t)low);
#else
  const dp_words above = (dp_words)(v > high), below = (dp_words)(v < low);
  return (dp_floats)(((dp_words)high & above) | ((dp_words)low & below) | ((dp_words)v & ~above & ~below));
#endif
}

/* clamp(rne(x * inverse), -8, 7) of lanes from i on */
static inline dp_floats levels_of(const float *x, int i, float inverse) {
  return clamped(dp_floats_f32(x, i) * inverse + 12582912.0f - 12582912.0f, -8, 7);
}

/* sum_k h[k] (x[k] - step v[k])^2 over a group */
static inline float error_of(const search *s, size_t group, float step) {
  const float *x = s->x + group * GROUP, *h = s->h + group * GROUP, inverse = 1 / step;
  dp_floats sum[DP_PARTS];
  DP_UNROLL for (int p = 0; p < DP_PARTS; p++) {
    DP_UNROLL for (int half = 0; half < GROUP / DP_LANES; half++) {
      const int i = half * DP_LANES + p * DP_PART_LANES;
      const dp_floats error = dp_floats_f32(x, i) - levels_of(x, i, inverse) * step;
      const dp_floats square = dp_floats_f32(h, i) * error * error;
      sum[p] = half == 0 ? square : sum[p] + square;
    }
  }
  return dp_sum_lanes(sum);
}

static float absmax_of(const float *x, size_t k) {
  uint32_t most = 0;
  for (size_t i = 0; i < k; i++) {
    const uint32_t magnitude = dp_magnitude(x[i]);
    most = magnitude > most ? magnitude : most;
  }
  return dp_float_from_bits(most);
}

/* The best real steps of each group alone, one of either sign; returns the largest of those of the better sign. */
static float search_groups(const search *s) {
  float largest = 0;
  for (size_t group = 0; group < s->groups; group++) {
    dp_s4_steps *steps = s->steps + group;
    steps->absmax = absmax_of(s->x + group * GROUP, GROUP);
    const float absmax = steps->absmax > LEAST_ABSMAX ? steps->absmax : LEAST_ABSMAX;
    for (int sign = 0; sign < 2; sign++) {
      float least = __builtin_inff();
      for (int i = 0; i < REACH_COUNT; i++) {
        const float step = (sign == 0 ? absmax : -absmax) / REACHES[i];
        const float error = error_of(s, group, step);
        if (!(error < least)) continue;
        least = error;
        steps->step[sign] = step;
      }
      steps->error[sign] = least;
    }
    const float better = steps->error[0] <= steps->error[1] ? steps->step[0] : -steps->step[1];
    largest = better > largest ? better : largest;
  }
  return largest;
}

/* The least multipliers with which no weight is clipped, where the scale allows it for all; returns the error. */
static float choose_plainly(const search *s, float scale, int8_t *multipliers) {
  float sum = 0;
  for (size_t group = 0; group < s->groups; group++) {
    const float least = s->steps[group].absmax / 7 / scale;
    int m = least < 1 ? 1 : least > MOST ? MOST : (int)least;
    if ((float)m < least && m < MOST) m++;
    multipliers[group] = (int8_t)m;
    sum += error_of(s, group, scale * (float)m);
  }
  return sum;
}

/* The multipliers for a scale; returns the error. They are kept where it is below the bound. */
static float choose(const search *s, float scale, float bound, int8_t *multipliers) {
  float sum = 0;
  for (size_t group = 0; group < s->groups && sum < bound; group++) {
    dp_s4_steps *steps = s->steps + group;
    const int better = steps->error[0] <= steps->error[1] ? 0 : 1;
    float least = __builtin_inff();
    for (int i = 0; i < 2; i++) {
      const int sign = i == 0 ? better : 1 - better;
      /* with a multiple of the scale this sign is hardly better than with its own step */
      if (!(steps->error[sign] < least)) continue;
      const int most = sign == 0 ? MOST : -LEAST;
      const float exact = (sign == 0 ? steps->step[0] : -steps->step[1]) / scale;
      const int below = exact<1 ? 1 : exact>(float) most ? most : (int)exact;
      for (int m = below; m <= below + 1 && m <= most; m++) {
        const int multiplier = sign == 0 ? m : -m;
        const float error = error_of(s, group, scale * (float)multiplier);
        if (!(error < least)) continue;
        least = error;
        steps->tried = (int8_t)multiplier;
      }
    }
    sum += least;
  }
  if (sum < bound) {
    for (size_t group = 0; group < s->groups; group++) multipliers[group] = s->steps[group].tried;
  }
  return sum;
}

/* The scale that fits the levels of another best. */
static float fit(const search *s, float scale, const int8_t *multipliers) {
  dp_floats product[DP_PARTS] = {{0}}, square[DP_PARTS] = {{0}};
  for (size_t group = 0; group < s->groups; group++) {
    const float m = multipliers[group], inverse = 1 / (scale * m);
    const float *x = s->x + group * GROUP, *h = s->h + group * GROUP;
    for (int half = 0; half < GROUP / DP_LANES; half++) {
      for (int p = 0; p < DP_PARTS; p++) {
        const int i = half * DP_LANES + p * DP_PART_LANES;
        const dp_floats q = levels_of(x, i, inverse) * m, weight = dp_floats_f32(h, i);
        product[p] += weight * dp_floats_f32(x, i) * q;
        square[p] += weight * q * q;
      }
    }
  }
  const float squares = dp_sum_lanes(square);
  return squares == 0 ? scale : dp_sum_lanes(product) / squares;
}

static void pack(const search *s, size_t k, float scale, const int8_t *multipliers, uint8_t *nibbles) {
  for (size_t group = 0; group < s->groups; group++) {
    const float inverse = 1 / (scale * multipliers[group]);
    float levels[GROUP];
    for (int i = 0; i < GROUP; i += DP_PART_LANES) {
      const dp_floats v = levels_of(s->x + group * GROUP, i, inverse) + DP_S4_OFFSET;
      memcpy(levels + i, &v, sizeof v);
    }
    for (size_t i = 0; i < GROUP && group * GROUP + i < k; i += 2) {
      nibbles[(group * GROUP + i) / 2] = (uint8_t)((int)levels[i] | (int)levels[i + 1] << 4);
    }
  }
}

float DP_PER_ISA(dp_search_s4)(float *x, const float *h, size_t k, dp_s4_steps *steps, int8_t *multipliers,
                               uint8_t *nibbles) {
  const search s = {.groups = dp_s4_groups(k), .x = x, .h = h, .steps = steps};
  float absmax = absmax_of(x, k);
  if (!(absmax < __builtin_inff())) return dp_float_from_bits(DP_NAN_BITS);
  absmax = absmax > DP_ABSMAX_FLOOR ? absmax : DP_ABSMAX_FLOOR;
  /* powers of two: exact, and squares neither overflow nor vanish */
  const uint32_t exponent = dp_float_bits(absmax) >> 23, biased = exponent < 253 ? exponent : 253;
  const float unit = dp_float_from_bits(biased << 23), factor = dp_float_from_bits((254 - biased) << 23);
  for (size_t i = 0; i < k; i++) x[i] *= factor;
  const float largest = search_groups(&s);
  float scale = absmax * factor / 7 / MOST;
  float error = choose_plainly(&s, scale, multipliers);
  for (int i = 0; i < MULTIPLES; i++) {
    const float tried = largest / MULTIPLE[i];
    const float tried_error = choose(&s, tried, error, multipliers);
    if (!(tried_error < error)) continue;
    error = tried_error;
    scale = tried;
  }
  for (int i = 0; i < FITS; i++) {
    const float fitted = fit(&s, scale, multipliers);
    if (!(fitted > 0)) break;
    const float fitted_error = choose(&s, fitted, error, multipliers);
    if (!(fitted_error < error)) break;
    error = fitted_error;
    scale = fitted;
  }
  pack(&s, k, scale, multipliers, nibbles);
  return scale * unit;
}
