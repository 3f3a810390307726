/* pack_64c4.c: weights [N, K] into the 64c4 tiles of tiles.h, one block at a time. */
#include <string.h>

#include "../../kernel_table.h"
#include "../../registers.h"
#include "../../rounding.h"
#include "per_isa.h"

/* Channels of a row are packed a stretch at a time, so that each row is read in cache-line runs. */
enum { STRETCH = 64 };

/* tiles[q][c][0..3] = row[0..count), zeros up to the next whole quad; returns the row's sum. */
static int32_t pack_stretch(const int8_t *row, size_t count, int8_t *tiles, uint32_t channel) {
  int32_t sum = 0;
  size_t k = 0;
  for (; k + DP_KR <= count; k += DP_KR) {
    memcpy(tiles + k / DP_KR * DP_QUAD_BYTES + channel * DP_KR, row + k, DP_KR);
  }
  if (k < count) {
    int8_t quad[DP_KR] = {0};
    memcpy(quad, row + k, count - k);
    memcpy(tiles + k / DP_KR * DP_QUAD_BYTES + channel * DP_KR, quad, DP_KR);
  }
  for (size_t i = 0; i < count; i++) sum += row[i];
  return sum;
}

static void clear_channels(uint32_t from, size_t k, int8_t *tiles, int32_t *col_sum) {
  if (from == DP_NR) return;
  for (size_t q = 0; q < dp_quads(k); q++) {
    memset(tiles + q * DP_QUAD_BYTES + from * DP_KR, 0, (DP_NR - from) * DP_KR);
  }
  memset(col_sum + from, 0, (DP_NR - from) * sizeof *col_sum);
}

void DP_PER_ISA(dp_pack_block_s8)(const int8_t *w, size_t stride, uint32_t channels, size_t k, int8_t *tiles,
                                  int32_t *col_sum) {
  memset(col_sum, 0, DP_NR * sizeof *col_sum);
  for (size_t k0 = 0; k0 < k; k0 += STRETCH) {
    size_t count = k - k0 < STRETCH ? k - k0 : STRETCH;
    int8_t *stretch = tiles + k0 / DP_KR * DP_QUAD_BYTES;
    for (uint32_t c = 0; c < channels; c++) {
      col_sum[c] += pack_stretch(w + c * stride + k0, count, stretch, c);
    }
  }
  clear_channels(channels, k, tiles, col_sum);
}

void DP_PER_ISA(dp_pack_block_transposed_s8)(const int8_t *w, size_t stride, uint32_t channels, size_t k, int8_t *tiles,
                                             int32_t *col_sum) {
  memset(tiles, 0, dp_block_bytes(k));
  memset(col_sum, 0, DP_NR * sizeof *col_sum);
  for (size_t i = 0; i < k; i++) {
    int8_t *quad = tiles + i / DP_KR * DP_QUAD_BYTES + i % DP_KR;
    const int8_t *row = w + i * stride;
    for (uint32_t c = 0; c < channels; c++) {
      quad[c * DP_KR] = row[c];
      col_sum[c] += row[c];
    }
  }
}

/* `type` is known to the compiler wherever these are inlined. */
DP_INLINE float weight_at(const void *w, dp_type type, size_t i) {
  return type == DP_BF16 ? dp_bf16_to_float(((const uint16_t *)w)[i]) : ((const float *)w)[i];
}

DP_INLINE uint32_t absmax_bits(const void *w, dp_type type, size_t first, size_t k) {
  uint32_t absmax = 0;
  for (size_t i = first; i < first + k; i++) {
    uint32_t magnitude = dp_magnitude(weight_at(w, type, i));
    absmax = magnitude > absmax ? magnitude : absmax;
  }
  return absmax;
}

DP_INLINE int quantize_pack(const void *w, dp_type type, uint32_t channels, size_t k, int8_t *tiles, int32_t *col_sum,
                            float *w_scale) {
  for (uint32_t c = 0; c < channels; c++) {
    uint32_t bits = absmax_bits(w, type, c * k, k);
    if (bits >= DP_INFINITY_BITS) return (int)c;
    float absmax = dp_float_from_bits(bits);
    w_scale[c] = (absmax > DP_ABSMAX_FLOOR ? absmax : DP_ABSMAX_FLOOR) / 127.0f;
  }
  memset(col_sum, 0, DP_NR * sizeof *col_sum);
  for (size_t k0 = 0; k0 < k; k0 += STRETCH) {
    size_t count = k - k0 < STRETCH ? k - k0 : STRETCH;
    int8_t *stretch = tiles + k0 / DP_KR * DP_QUAD_BYTES;
    for (uint32_t c = 0; c < channels; c++) {
      const float scale = w_scale[c];
      int8_t row[STRETCH];
      for (size_t i = 0; i < count; i++) {
        /* |w / s| <= 127 up to rounding, so only the upper clamp could ever act */
        const float q = dp_round(weight_at(w, type, c * k + k0 + i) / scale);
        row[i] = (int8_t)(int32_t)(q > 127.0f ? 127.0f : q);
      }
      col_sum[c] += pack_stretch(row, count, stretch, c);
    }
  }
  clear_channels(channels, k, tiles, col_sum);
  for (uint32_t c = channels; c < DP_NR; c++) w_scale[c] = 0.0f;
  return -1;
}

int DP_PER_ISA(dp_quantize_pack_block)(const void *w, dp_type type, uint32_t channels, size_t k, int8_t *tiles,
                                       int32_t *col_sum, float *w_scale) {
  return type == DP_BF16 ? quantize_pack(w, DP_BF16, channels, k, tiles, col_sum, w_scale)
                         : quantize_pack(w, DP_F32, channels, k, tiles, col_sum, w_scale);
}
