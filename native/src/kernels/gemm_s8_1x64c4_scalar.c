/* gemm_s8_1x64c4_scalar.c: portable C has no registers to tile; rows go one by one. */
#include "../kernel_table.h"

void dp_gemm_s8_1x64c4_scalar(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                              const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)ahead;
  for (uint32_t m = 0; m < rows; m++) {
    dp_gemv_s8_1x64c4_scalar((const int8_t *)xq + m * stride, w, quads, DP_COLUMNS, col_sum, acc + m * DP_NR);
  }
}
