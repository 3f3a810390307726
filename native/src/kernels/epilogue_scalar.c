/* epilogue_scalar.c: int32 sums to float32 or bfloat16. */
#include <string.h>

#include "../kernel_table.h"
#include "../rounding.h"

static inline float dequantize(int32_t acc, float x_scale, float w_scale, const float *bias) {
  float y = ((float)acc * x_scale) * w_scale;
  return bias == NULL ? y : y + *bias;
}

void dp_epilogue_f32_scalar(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                            void *y) {
  for (size_t n = 0; n < count; n++) {
    float value = dequantize(acc[n], x_scale, w_scale[n], bias == NULL ? NULL : bias + n);
    memcpy((char *)y + n * sizeof value, &value, sizeof value);
  }
}

void dp_epilogue_bf16_scalar(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                             void *y) {
  for (size_t n = 0; n < count; n++) {
    float value = dequantize(acc[n], x_scale, w_scale[n], bias == NULL ? NULL : bias + n);
    uint16_t bits = dp_float_to_bf16(value);
    memcpy((char *)y + n * sizeof bits, &bits, sizeof bits);
  }
}
