/* embed.c: y[k] = float(w[k]), one row of an embedding. */
#include <string.h>

#include "../../kernel_table.h"
#include "../../rounding.h"
#include "per_isa.h"

void DP_PER_ISA(dp_embed)(const void *w, dp_type type, size_t k, float *y) {
  if (type == DP_BF16) {
    const uint16_t *bits = w;
    for (size_t i = 0; i < k; i++) y[i] = dp_bf16_to_float(bits[i]);
  } else {
    memcpy(y, w, k * sizeof *y);
  }
}
