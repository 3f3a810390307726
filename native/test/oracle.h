/* oracle.h: what the kernels compute, written by definition, without regard for speed. */
#ifndef DP_ORACLE_H
#define DP_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/dotpool.h"

/* Element i of a float32 or bfloat16 array, at any alignment. */
float oracle_load(const void *values, dp_type type, size_t i);

/* Narrows to `type` and stores. */
void oracle_store(void *values, dp_type type, size_t i, float value);

/* Nearest integer, ties to even. */
int32_t oracle_round(float value);

/* q = clamp(rne(x * (127 / a)), -127, 127), a = max(absmax, 1e-8); returns a / 127, or NaN. */
float oracle_quantize_row(const void *x, dp_type type, size_t k, int8_t *q);

/*
 * The same with at most `outliers` outliers: a as dotpool.h defines it beside DP_MAX_OUTLIERS; elements above it are
 * clamped to 127 * 128 instead.
 */
float oracle_quantize_row_with(const void *x, dp_type type, size_t k, uint32_t outliers, int32_t *q);

/* q = clamp(rne(w / s), -128, 127), s = max(absmax, 1e-8) / 127; returns s, or NaN. */
float oracle_quantize_channel(const void *w, dp_type type, size_t first, size_t k, int8_t *q);

/* sum_k a[k] * b[k] */
int32_t oracle_dot(const int8_t *a, const int8_t *b, size_t k);
int32_t oracle_dot_with(const int32_t *a, const int8_t *b, size_t k);

/* (float(acc) * xScale) * wScale (+ bias) */
float oracle_dequantize(int32_t acc, float x_scale, float w_scale, const float *bias);

/*
 * sum_k x[k] * float(w[k]): four sums of k mod 4 over 256 k at a time, (0 + 1) + (2 + 3), those in turn.
 */
float oracle_float_dot(const void *x, dp_type type, const int8_t *w, size_t k);

/* acc * wScale (+ bias) */
float oracle_dequantize_float(float acc, float w_scale, const float *bias);

/* activation(g) in double precision. */
double oracle_activate(dp_activation activation, double g);

/* sum_i values[i]: sixteen sums of i mod 16, then halves of them added until one is left. */
float oracle_sum16(const float *values, size_t count);

/* Index of w[n, k] in the packed tiles. */
size_t oracle_tile_index(size_t n, size_t k, size_t in_features);

/* tiles, colSum (padded to whole blocks) of int8 w[N, K] */
void oracle_pack(const int8_t *w, size_t n, size_t k, int8_t *tiles, int32_t *col_sum);

/* w[n, k] = (u[n, k] - 8) * m[n, k / 32]; nibbles and multipliers as dp_pack_s4_fn has them. */
void oracle_decode_s4(const uint8_t *nibbles, const int8_t *multipliers, size_t n, size_t k, int8_t *w);

/* The 64c8 tiles of int4 w[N, K], and colSum (padded to whole blocks) of the int8 weights that they stand for. */
void oracle_pack_s4(const uint8_t *nibbles, const int8_t *multipliers, size_t n, size_t k, uint8_t *tiles,
                    int32_t *col_sum);

/* The same bits; all NaN are equal. */
bool same_float(float a, float b);
bool same_floats(const float *a, const float *b, size_t count);
bool same_element(const void *a, const void *b, dp_type type, size_t i);

#endif
