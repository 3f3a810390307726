/*
 * rms_norm.c: y[k] = (x[k] / sqrt(mean_k x[k]^2 + eps)) * w[k], https://arxiv.org/abs/1910.07467,
 * after x[k] += u[k], which is what the layer before adds to the residual stream.
 */
#include <math.h>

#include "../kernels.h"
#include "sum16.h"
#include "per_isa.h"

static float sum_of_squares(const float *x, size_t k) {
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

void DP_PER_ISA(dp_rms_norm)(float *x, const float *u, const float *w, size_t k, float eps, float *y) {
  if (u != NULL) {
    for (size_t i = 0; i < k; i++) x[i] += u[i];
  }
  const float t = 1.0f / sqrtf(sum_of_squares(x, k) / (float)k + eps);
  for (size_t i = 0; i < k; i++) y[i] = x[i] * t * w[i];
}
