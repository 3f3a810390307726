/* quantize.h: rows of activations into the kernels' format, with their outliers. */
#ifndef DP_RUN_QUANTIZE_H
#define DP_RUN_QUANTIZE_H

#include "../rounding.h"
#include "op.h"

/*
 * xq, its outliers = quantise(x), float32 [K], at most `most` outliers, for which x is written over; returns xScale.
 */
static inline float dp_quantize_floats(const dp_kernels *kernels, float *x, size_t k, uint32_t most, void *xq) {
  if (most == 0) return kernels->quantize_row_f32(x, k, DP_ABSMAX_FLOOR, xq);
  dp_outliers *outliers = dp_row_outliers(kernels, xq, k);
  const float least = kernels->split_outliers(x, k, most, outliers);
  const float scale = kernels->quantize_row_f32(x, k, least, xq);
  if (kernels->gemm->widen_outliers != NULL) kernels->gemm->widen_outliers(outliers, k, xq);
  return scale;
}

#endif
