/*
 * dense.c: y[m, n] = sum_k x[m, k] * float(w[n, k]) (+ bias[n]), the weights float32 or bfloat16. One row
 * is bound by memory: four channels are read side by side, and the next four asked for. For more rows a
 * weight that is loaded is multiplied with several.
 */
#include "../../kernel_table.h"
#include "../../registers.h"
#include "per_isa.h"
#include "sum16.h"

/* Rows and channels of a tile for many rows: as many sums as there are registers for. */
enum { SIDE = DP_PARTS == 1 ? 4 : 2, CHANNELS = 4 };

typedef dp_floats load_fn(const void *values, size_t i);

/* Some rows of x; the last elements, fewer than there are lanes, stand apart, padded with zeros. */
typedef struct panel {
  const float *const *x;
  float *const *y;
  float last[DP_DENSE_ROWS][DP_LANES];
} panel;

/* One load of each operand, all their products. x: row m from its i on, w: channel n from its i on. */
DP_INLINE void multiply(const float *const *x, size_t x_i, const int rows, const char *w, size_t w_bytes, size_t w_i,
                        const int channels, load_fn *load, dp_floats sum[SIDE][CHANNELS][DP_PARTS]) {
  DP_UNROLL for (int p = 0; p < DP_PARTS; p++) {
    dp_floats weight[CHANNELS];
    DP_UNROLL for (int c = 0; c < channels; c++) weight[c] = load(w + c * w_bytes, w_i + p * DP_PART_LANES);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      const dp_floats value = dp_floats_f32(x[m], x_i + p * DP_PART_LANES);
      DP_UNROLL for (int c = 0; c < channels; c++) sum[m][c][p] += value * weight[c];
    }
  }
}

/* y[m, n] for `rows` rows from m on and `channels` channels from n on. w: channel n. */
DP_INLINE void tile(const panel *panel, uint32_t m, const int rows, const char *w, uint32_t n, const int channels,
                    size_t k, load_fn *load, size_t size, const float *bias) {
  const size_t w_bytes = dp_dense_stride(k) * size;
  dp_floats sum[SIDE][CHANNELS][DP_PARTS] = {{{{0}}}};
  size_t i = 0;
  for (; i + DP_LANES <= k; i += DP_LANES) {
    DP_UNROLL for (int c = 0; c < channels; c++) __builtin_prefetch(w + (channels + c) * w_bytes + i * size);
    multiply(panel->x + m, i, rows, w, w_bytes, i, channels, load, sum);
  }
  if (i < k) {
    const float *last[SIDE];
    for (int r = 0; r < rows; r++) last[r] = panel->last[m + r];
    multiply(last, 0, rows, w, w_bytes, i, channels, load, sum);
  }
  DP_UNROLL for (int r = 0; r < rows; r++) {
    DP_UNROLL for (int c = 0; c < channels; c++) {
      const float y = dp_sum_lanes(sum[r][c]);
      panel->y[m + r][n + c] = bias == NULL ? y : y + bias[n + c];
    }
  }
}

/* All channels, so many at once, then one by one. */
DP_INLINE void rows_of(const panel *panel, uint32_t m, const int rows, const char *w, uint32_t count,
                       const int channels, size_t k, load_fn *load, size_t size, const float *bias) {
  const size_t w_bytes = dp_dense_stride(k) * size;
  uint32_t n = 0;
  for (; n + channels <= count; n += channels) {
    tile(panel, m, rows, w + n * w_bytes, n, channels, k, load, size, bias);
  }
  for (; n < count; n++) tile(panel, m, rows, w + n * w_bytes, n, 1, k, load, size, bias);
}

DP_INLINE void dense(const float *const *x, uint32_t rows, const char *w, uint32_t channels, size_t k, load_fn *load,
                     size_t size, const float *bias, float *const *y) {
  panel panel = {.x = x, .y = y};
  const size_t whole = k / DP_LANES * DP_LANES;
  for (uint32_t m = 0; m < rows; m++) {
    memset(panel.last[m], 0, sizeof panel.last[m]);
    memcpy(panel.last[m], x[m] + whole, (k - whole) * sizeof(float));
  }
  uint32_t m = 0;
  for (; m + SIDE <= rows; m += SIDE) {
    rows_of(&panel, m, SIDE, w, channels, SIDE, k, load, size, bias);
  }
  for (; m + 2 <= rows; m += 2) rows_of(&panel, m, 2, w, channels, SIDE, k, load, size, bias);
  for (; m < rows; m++) rows_of(&panel, m, 1, w, channels, CHANNELS, k, load, size, bias);
}

void DP_PER_ISA(dp_dense_f32)(const float *const *x, uint32_t rows, const void *w, uint32_t channels, size_t k,
                              const float *bias, float *const *y) {
  dense(x, rows, w, channels, k, dp_floats_f32, sizeof(float), bias, y);
}

void DP_PER_ISA(dp_dense_bf16)(const float *const *x, uint32_t rows, const void *w, uint32_t channels, size_t k,
                               const float *bias, float *const *y) {
  dense(x, rows, w, channels, k, dp_floats_bf16, sizeof(uint16_t), bias, y);
}
