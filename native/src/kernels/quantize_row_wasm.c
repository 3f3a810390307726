/* quantize_row_wasm.c: activations to int16, as the exact multiply takes them. */
#include <string.h>

#include "../kernels.h"
#include "row128.h"

enum { LANES = 8 };

DP_INLINE float quantize_row(const void *x, size_t k, int16_t *xq, size_t size, dp_load_lanes *load) {
  /* the last lanes are copied out, so that no load reads past the row */
  const size_t whole = k / LANES * LANES, padded = dp_quads(k) * DP_KR;
  char tail[LANES * sizeof(float)] = {0};
  memcpy(tail, (const char *)x + whole * size, (k - whole) * size);

  const uint32_t last_bits = dp_absmax_bits(tail, LANES, load);
  uint32_t bits = dp_absmax_bits(x, whole, load);
  if (last_bits > bits) bits = last_bits;
  if (bits >= DP_INFINITY_BITS) {
    memset(xq, 0, padded * sizeof *xq);
    return dp_float_from_bits(DP_NAN_BITS);
  }
  float absmax = dp_float_from_bits(bits);
  if (absmax < DP_ABSMAX_FLOOR) absmax = DP_ABSMAX_FLOOR;
  const v128_t inverse = wasm_f32x4_splat(127.0f / absmax);
  for (size_t i = 0; i < whole; i += LANES) {
    wasm_v128_store(xq + i, dp_quantize_eight(x, i, inverse, load));
  }
  int16_t last[LANES];
  wasm_v128_store(last, dp_quantize_eight(tail, 0, inverse, load));
  memcpy(xq + whole, last, (padded - whole) * sizeof *xq);
  return absmax / 127.0f;
}

float dp_quantize_row_f32_wasm(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(float), dp_load_f32);
}

float dp_quantize_row_bf16_wasm(const void *x, size_t k, void *xq) {
  return quantize_row(x, k, xq, sizeof(uint16_t), dp_load_bf16);
}

void dp_load_row_s8_wasm(const int8_t *x, size_t k, void *xq) {
  int16_t *out = xq;
  size_t i = 0;
  for (; i < k; i++) out[i] = x[i];
  for (; i < dp_quads(k) * DP_KR; i++) out[i] = 0;
}
