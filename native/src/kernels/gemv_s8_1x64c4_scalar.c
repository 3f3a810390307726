/* gemv_s8_1x64c4_scalar.c: one row times up to a block. Activation format: int8. */
#include <string.h>

#include "../kernel_table.h"

void dp_gemv_s8_1x64c4_scalar(const void *xq, const int8_t *w, size_t quads, uint32_t columns, const int32_t *col_sum,
                              int32_t *acc) {
  (void)col_sum;
  const int8_t *x = xq;
  uint32_t channels = columns * DP_COLUMN;
  memset(acc, 0, channels * sizeof *acc);
  for (size_t q = 0; q < quads; q++, x += DP_KR, w += DP_QUAD_BYTES) {
    for (uint32_t c = 0; c < channels; c++) {
      const int8_t *quad = w + c * DP_KR;
      acc[c] += x[0] * quad[0] + x[1] * quad[1] + x[2] * quad[2] + x[3] * quad[3];
    }
  }
}
