/* float_dot.c: a Linear whose activations are not quantised: for accuracy, not for speed. */
#include <string.h>

#include "../../kernel_table.h"
#include "../../rounding.h"
#include "per_isa.h"

/* Sixteen channels; the compiler cuts this into the registers that the ISA has. */
typedef float floats __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));

/* Quads summed up before their sum joins the total: short sums lose less to rounding. */
enum { STRETCH = 64 };

void DP_PER_ISA(dp_load_row_float)(const void *row, dp_type type, size_t k, float *x) {
  if (type == DP_BF16) {
    const uint16_t *bits = row;
    for (size_t i = 0; i < k; i++) x[i] = dp_bf16_to_float(bits[i]);
  } else {
    memcpy(x, row, k * sizeof *x);
  }
  memset(x + k, 0, (dp_quads(k) * DP_KR - k) * sizeof *x);
}

/* Byte `j` of every lane, as a float. */
static inline floats byte_of(ints quad, int j) { return __builtin_convertvector(quad << (24 - 8 * j) >> 24, floats); }

void DP_PER_ISA(dp_dot_float_64c4)(const float *x, const int8_t *w, size_t quads, float *acc) {
  for (int column = 0; column < DP_COLUMNS; column++) {
    floats total;
    memcpy(&total, acc + column * DP_COLUMN, sizeof total);
    for (size_t q0 = 0; q0 < quads; q0 += STRETCH) {
      const size_t end = quads - q0 < STRETCH ? quads : q0 + STRETCH;
      floats sum[DP_KR] = {{0}};
      for (size_t q = q0; q < end; q++) {
        ints quad;
        memcpy(&quad, w + q * DP_QUAD_BYTES + column * 64, sizeof quad);
        for (int j = 0; j < DP_KR; j++) sum[j] += x[q * DP_KR + j] * byte_of(quad, j);
      }
      total += (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    memcpy(acc + column * DP_COLUMN, &total, sizeof total);
  }
}

static inline float dequantize(float acc, float w_scale, const float *bias) {
  const float y = acc * w_scale;
  return bias == NULL ? y : y + *bias;
}

void DP_PER_ISA(dp_float_epilogue_f32)(const float *acc, size_t count, const float *w_scale, const float *bias,
                                       void *y) {
  float values[DP_NR];
  for (size_t n = 0; n < count; n++) values[n] = dequantize(acc[n], w_scale[n], bias ? bias + n : NULL);
  memcpy(y, values, count * sizeof *values);
}

void DP_PER_ISA(dp_float_epilogue_bf16)(const float *acc, size_t count, const float *w_scale, const float *bias,
                                        void *y) {
  uint16_t values[DP_NR];
  for (size_t n = 0; n < count; n++) {
    values[n] = dp_float_to_bf16(dequantize(acc[n], w_scale[n], bias ? bias + n : NULL));
  }
  memcpy(y, values, count * sizeof *values);
}
