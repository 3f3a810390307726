/*
 * rms_norm.c: y[k] = (x[k] / sqrt(mean_k x[k]^2 + eps)) * w[k], https://arxiv.org/abs/1910.07467,
 * after x[k] += u[k], which is what the layer before adds to the residual stream.
 */
#include <math.h>

#include "../../kernel_table.h"
#include "per_isa.h"
#include "sum16.h"

void DP_PER_ISA(dp_rms_norm)(float *x, const float *u, const float *w, size_t k, float eps, float *y) {
  if (u != NULL) {
    for (size_t i = 0; i < k; i++) x[i] += u[i];
  }
  const float t = 1.0f / sqrtf(dp_sum_of_squares(x, k) / (float)k + eps);
  for (size_t i = 0; i < k; i++) y[i] = x[i] * t * w[i];
}
