/*
 * kernel_table.h: the kernel table. All kernels of one ISA are chosen together, because they agree on how
 * a quantised activation is stored ("activation format"), which nothing else depends on.
 */
#ifndef DP_KERNELS_H
#define DP_KERNELS_H

#include <stdbool.h>

#include "../include/dotpool.h"
#include "cpu.h"
#include "kv_page.h"
#include "tiles.h"

#define DP_MR_MAX 64    /* most rows of any GEMM tile */
#define DP_DENSE_ROWS 4 /* most rows that the kernels of float weights take at once */

/*
 * a = max(absmax, least); xq[k] = clamp(rne(x[k] * (127 / a))), xScale = a / 127. least: DP_ABSMAX_FLOOR or more.
 * x: float32 or bfloat16 [K], any alignment of its element. xq: activation format [K], 64-byte
 * aligned, padded to whole quads with anything (the weights there are zero).
 * Returns xScale; NaN, with all xq zero, where x holds a NaN or an infinity.
 */
typedef float dp_quantize_row_fn(const void *x, size_t k, float least, void *xq);

#define DP_HIGH 128 /* what one of an outlier's `high` stands for */

/*
 * An element of a row whose integer a byte does not hold: that is DP_HIGH * high more than what stands in the row,
 * high = -127 .. 127 but never 0.
 */
typedef struct dp_outlier {
  uint32_t k;
  uint32_t magnitude; /* |high|, in the byte that k has in its quad */
} dp_outlier;

/* The end of a quantised row, in lines of its own, where outliers are asked for. */
typedef struct dp_outliers {
  _Alignas(DP_CACHE_LINE) uint16_t count;
  uint16_t negative; /* of them, which come first: their `high` is */
  dp_outlier at[DP_MAX_OUTLIERS];
} dp_outliers;

/*
 * Takes at most `most` outliers, 1 to DP_MAX_OUTLIERS, out of x, float32 [K]: what stays in their places
 * quantises to the lower parts of their integers. Returns `least` for dp_quantize_row_fn, which gives the others
 * theirs. See DP_MAX_OUTLIERS.
 */
typedef float dp_split_outliers_fn(float *x, size_t k, uint32_t most, dp_outliers *outliers);

/*
 * acc[n] += 128 * sum_i high[i] * w[n, k[i]] for `columns` 16-channel columns of a block; w and acc as
 * dp_gemv_fn has them.
 */
typedef void dp_add_outliers_fn(const dp_outliers *outliers, const int8_t *w, uint32_t columns, int32_t *acc);

/* The same for weights of four bits: columns [first, first + columns) of a block. */
typedef void dp_add_outliers_s4_fn(const dp_outliers *outliers, const uint8_t *w, uint32_t first, uint32_t columns,
                                   int32_t *acc);

/* xq[k[i]] += 128 * high[i] where an activation is stored in more than a byte; K as dp_quantize_row_fn has it. */
typedef void dp_widen_outliers_fn(const dp_outliers *outliers, size_t k, void *xq);

/* xq[k] = x[k]: int8 [K] of any value into activation format, for plain integer products. */
typedef void dp_load_row_fn(const int8_t *x, size_t k, void *xq);

/*
 * acc[n] = sum_k xq[k] * w[n, k] for `columns` 16-channel columns of a block, -127 <= xq[k].
 * w: the first column's quad 0 inside the block, 64-byte aligned; the next quad is 256 bytes on.
 * col_sum: of these channels. acc: int32 [16 * columns], 64-byte aligned.
 */
typedef void dp_gemv_fn(const void *xq, const int8_t *w, size_t quads, uint32_t columns, const int32_t *col_sum,
                        int32_t *acc);

/*
 * acc[m, n] = sum_k xq[m, k] * w[n, k] for m < rows <= MR and one block of 64 channels.
 * xq: rows `stride` bytes apart. w: the block, 64-byte aligned. acc: int32 [rows][64], aligned.
 * ahead: memory that will be multiplied soon; the kernel asks for a cache line of it per quad.
 */
typedef void dp_gemm_fn(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                        const int32_t *col_sum, int32_t *acc, const int8_t *ahead);

/*
 * The same two for weights of four bits: w is the block, and dp_gemv_s4_fn computes columns [first, first + columns).
 * -127 <= xq[k]; a row is readable to the next whole group, where it may hold anything (the weights there are zero).
 */
typedef void dp_gemv_s4_fn(const void *xq, const uint8_t *w, size_t groups, uint32_t first, uint32_t columns,
                           int32_t *acc);
typedef void dp_gemm_s4_fn(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups, int32_t *acc);

/* tiles = columns [first, first + columns) of `groups` groups of a block of four bits as int8, 64c4. */
typedef void dp_decode_s4_fn(const uint8_t *w, size_t groups, uint32_t first, uint32_t columns, int8_t *tiles);

/*
 * y[n] = (float(acc[n]) * xScale) * wScale[n] (+ bias[n]), rounded once more for bfloat16.
 * acc, w_scale, bias (or NULL): 64-byte aligned, readable to the next multiple of 16.
 * y: float32 or bfloat16 [count], any alignment of its element; nothing past it is touched.
 */
typedef void dp_epilogue_fn(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                            void *y);

/*
 * out[k] = activation(g[k]) * u[k]; for bfloat16 each of the two steps is rounded to bfloat16.
 * g, u, out: the same type [K], any alignment of their element.
 */
typedef void dp_gate_fn(const void *g, const void *u, size_t k, dp_activation activation, void *out);

/* x[k] = float(row[k]), padded to whole quads with zeros. row: float32 or bfloat16 [K]. */
typedef void dp_load_row_float_fn(const void *row, dp_type type, size_t k, float *x);

/*
 * acc[n] += sum_k x[k] * float(w[n, k]) for one block of 64 channels, in a fixed order, for the bits depend on it:
 * four sums of k mod 4 over stretches of 64 quads, (0 + 1) + (2 + 3), stretches in turn.
 * x: float32, padded to whole quads. w: the block. acc: float32 [64], 64-byte aligned.
 */
typedef void dp_dot_float_fn(const float *x, const int8_t *w, size_t quads, float *acc);

/* y[n] = acc[n] * wScale[n] (+ bias[n]), rounded once more for bfloat16; as dp_epilogue_fn otherwise. */
typedef void dp_float_epilogue_fn(const float *acc, size_t count, const float *w_scale, const float *bias, void *y);

/*
 * x = rope(norm(x)) * scale, in place; see float/rotate.c.
 * x: float32 [D]. norm: float32 [D], or NULL: x is not normed. rotation: [2][D / 2], cosines, then sines.
 */
typedef void dp_rotate_fn(float *x, uint32_t head_dim, const float *norm, float eps, const float *rotation,
                          float scale);

/* Puts k and v, float32 [D], into a position of a page; int8 as dp_quantize_row_fn quantises. */
typedef void dp_store_kv_fn(const float *k, const float *v, dp_kv_head head, uint32_t position);

/* What attention gives over some positions, to be put together with what it gives over others. */
enum {
  DP_PART_MAXIMUM = 0, /* of the scores */
  DP_PART_SUM = 1,     /* of e^(score - maximum) */
  DP_PART_VALUES = 2,  /* [D]: sums of values, each times its e^(score - maximum) */
};

/*
 * Rows of one sequence that see something of a page, and for each the `group` query heads of one kv head:
 * query i is head i % group of row i / group, which sees positions [first, last) of the page, not none.
 */
typedef struct dp_page_queries {
  uint32_t rows, group;
  const uint32_t *first, *last; /* [rows] */
  const float *q;               /* [queries][D] */
  float *scores;                /* [queries][DP_PAGE], scratch */
  float *parts;                 /* the results, a part each */
  size_t part_stride;           /* floats from part to part */
  const char *ahead;            /* the head that will be read next, or any other */
} dp_page_queries;

/* Writes the parts of one page; see float/attention.c. */
typedef void dp_attend_page_fn(const dp_page_queries *queries, dp_kv_head head);

/* Adds a part to the total of those before it. */
typedef void dp_merge_part_fn(float *total, const float *part, uint32_t head_dim);

/* out[d] = values[d] * (1 / sum) */
typedef void dp_normalize_part_fn(const float *total, uint32_t head_dim, float *out);

/* y[k] = float(w[k]). w: float32 or bfloat16 [K]. y: float32 [K]. */
typedef void dp_embed_fn(const void *w, dp_type type, size_t k, float *y);

/* x[k] += u[k] unless u is NULL; y[k] = (x[k] * t) * w[k], t = 1 / sqrt(sum_k x[k]^2 / K + eps). */
typedef void dp_rms_norm_fn(float *x, const float *u, const float *w, size_t k, float eps, float *y);

/*
 * y[m][n] = sum_k x[m][k] * float(w[n, k]) (+ bias[n]) for m < rows <= DP_DENSE_ROWS and n < channels.
 * w: float32 or bfloat16 rows, dp_dense_stride(K) elements apart, padded with zeros, 64-byte aligned.
 * x: float32 [K]; y: float32 [channels]; any alignment of their elements.
 */
typedef void dp_dense_fn(const float *const *x, uint32_t rows, const void *w, uint32_t channels, size_t k,
                         const float *bias, float *const *y);

/*
 * Samples sample->id from logits [N], which are used up; none where one is NaN or all are -infinity.
 * Not for N > 2^22: sums of weights are to stay whole numbers in a double.
 */
typedef dp_sample_outcome dp_sample_row_fn(float *logits, size_t n, dp_sample *sample);

/* Fills in sample->logit, maximum and sum for sample->id, and the candidates; does not where a logit is NaN. */
typedef dp_sample_outcome dp_score_fn(const float *logits, size_t n, dp_sample *sample);

/*
 * tiles = one block of int8 w[n0 .. n0 + channels, K], rows `stride` bytes apart; the rest zeros.
 * col_sum: int32 [64].
 */
typedef void dp_pack_block_fn(const int8_t *w, size_t stride, uint32_t channels, size_t k, int8_t *tiles,
                              int32_t *col_sum);

/*
 * tiles = one block of int4 weights, 64c8: nibbles of `channels` rows, ceil(K / 2) bytes each, and their multipliers,
 * ceil(K / 32) each; the rest zeros. col_sum: int32 [64], of the int8 weights that they stand for.
 */
typedef void dp_pack_s4_fn(const uint8_t *nibbles, const int8_t *multipliers, uint32_t channels, size_t k,
                           uint8_t *tiles, int32_t *col_sum);

/* What the search of four bits knows of a group: its best real steps, one of either sign, and their errors. */
typedef struct dp_s4_steps {
  float step[2], error[2];
  float absmax;
  int8_t tried; /* the multiplier for the scale that is tried */
} dp_s4_steps;

/*
 * Searches levels and multipliers for one output channel; returns its scale, or NaN, and nothing else, where a weight is
 * not finite. x: its weights, float32 [K], which are used up, and h, how much each input counts, both padded to whole
 * groups with zeros. steps: scratch [groups]. nibbles: [ceil(K / 2)].
 */
typedef float dp_search_s4_fn(float *x, const float *h, size_t k, dp_s4_steps *steps, int8_t *multipliers,
                              uint8_t *nibbles);

/*
 * s[n] = max(absmax_k, 1e-8) / 127; tiles = pack(clamp(rne(w[n, k] / s[n]), -128, 127)).
 * w: float32 or bfloat16 [channels, K], contiguous. col_sum, w_scale: [64].
 * Returns the first channel that holds a NaN or an infinity (nothing of it is packed), or -1.
 */
typedef int dp_quantize_pack_block_fn(const void *w, dp_type type, uint32_t channels, size_t k, int8_t *tiles,
                                      int32_t *col_sum, float *w_scale);

/* In which order memory is read. */
typedef struct dp_read_order {
  uint32_t streams; /* 1: line after line; 4: a line of each quarter in turn */
  uint32_t ahead;   /* asks for what lies so many bytes on, or DP_PAGES_IN_TURN; 0: does not ask */
} dp_read_order;

/* Sum of the 64-bit words of bytes (a multiple of 256, 64-byte aligned), as fast as memory gives them. */
typedef uint64_t dp_read_fn(const void *x, size_t bytes, dp_read_order order);

/*
 * `rounds` times as many independent multiply-adds as fill the pipes; returns how many MACs ran. Written so
 * that no compiler takes a multiply out of the loop or puts a sum on the stack: test/native/rooflines.test.ts
 * looks at what they make of it.
 */
typedef uint64_t dp_peak_fn(uint64_t rounds, int32_t *sink);

/* y = row, without keeping y in the caches, where it is whole cache lines. row: 64-byte aligned. */
typedef void dp_stream_row_fn(void *y, const void *row, size_t bytes);

/* Frees what kernels of this thread keep from panel to panel; streamed rows are there for other threads. */
typedef void dp_end_gemm_fn(void);

/* A GEMM kernel, the rows it takes at once, and how its results get to memory. */
typedef struct dp_gemm_tile {
  dp_gemm_fn *run;
  uint32_t mr;    /* most rows */
  uint32_t unit;  /* panels are whole multiples of so many rows, but for the last: fewer take as long */
  bool rows_stay; /* where not all rows fit the L2 cache, some stay there and blocks pass by */
  bool symmetric; /* takes activations of -127 to 127 only, as quantised ones are */
  dp_widen_outliers_fn *widen_outliers; /* puts outliers into rows, for it multiplies them, too; or NULL */
  dp_stream_row_fn *stream_row;         /* NULL: results are written as they come */
  dp_end_gemm_fn *end;                  /* to be called after the last panel, or NULL */
} dp_gemm_tile;

/* Kernels that multiply weights of four bits as they lie in memory; others are decoded for those of int8. */
typedef struct dp_s4_kernels {
  dp_gemv_s4_fn *gemv; /* NULL: there are none */
  dp_gemm_s4_fn *gemm;
  uint32_t mr;   /* most rows of gemm */
  uint32_t most; /* beyond so many rows it pays to decode a block for all of them */
} dp_s4_kernels;

/*
 * The kernels by what they need to know of an ISA, a line each: X(isa, type, name) stands for the function
 * dp_NAME_ISA of type dp_TYPE_fn, which the table has as NAME. One file each, or one for both types of element.
 */

/* How a quantised activation is stored. */
#define DP_ACTIVATION_KERNELS(X, isa)     \
  X(isa, quantize_row, quantize_row_f32)  \
  X(isa, quantize_row, quantize_row_bf16) \
  X(isa, load_row, load_row_s8)

/* Only its registers. Those in kernels/float are portable C, compiled once for each ISA. */
#define DP_ROW_KERNELS(X, isa)                                                               \
  X(isa, epilogue, epilogue_f32)                                                             \
  X(isa, epilogue, epilogue_bf16)                                                            \
  X(isa, split_outliers, split_outliers)                                                     \
  X(isa, add_outliers, add_outliers)                                                         \
  X(isa, add_outliers_s4, add_outliers_s4)                                                   \
  X(isa, decode_s4, decode_s4)                                                               \
  X(isa, gate, gate_f32)                                                                     \
  X(isa, gate, gate_bf16)                                                                    \
  X(isa, load_row_float, load_row_float)                                                     \
  X(isa, dot_float, dot_float_64c4)                                                          \
  X(isa, float_epilogue, float_epilogue_f32)                                                 \
  X(isa, float_epilogue, float_epilogue_bf16)                                                \
  X(isa, rotate, rotate)                                                                     \
  X(isa, store_kv, store_kv)                                                                 \
  X(isa, attend_page, attend_page)                                                           \
  X(isa, merge_part, merge_part)                                                             \
  X(isa, normalize_part, normalize_part)                                                     \
  X(isa, pack_block, pack_block_s8)                                                          \
  X(isa, pack_block, pack_block_transposed_s8) /* of transpose(w), where w is int8 [K, N] */ \
  X(isa, quantize_pack_block, quantize_pack_block)                                           \
  X(isa, pack_s4, pack_block_s4)                                                             \
  X(isa, search_s4, search_s4)                                                               \
  X(isa, embed, embed)                                                                       \
  X(isa, rms_norm, rms_norm)                                                                 \
  X(isa, dense, dense_f32)                                                                   \
  X(isa, dense, dense_bf16)                                                                  \
  X(isa, sample_row, sample_row)                                                             \
  X(isa, score, score)                                                                       \
  X(isa, read, read)

#define DP_FIELD(isa, type, name) dp_##type##_fn *name;
#define DP_DECLARE(isa, type, name) dp_##type##_fn dp_##name##_##isa;

typedef struct dp_kernels {
  const char *isa;
  dp_obstacle_fn *obstacle;  /* with no kernels beside it where they are not built */
  uint32_t activation_bytes; /* of one quantised activation */
  dp_gemv_fn *gemv;
  const dp_gemm_tile *gemm;     /* many rows: keeps the multiplier busy */
  const dp_gemm_tile *gemm_few; /* few rows: reads each weight once for as many rows as it can */
  const dp_s4_kernels *s4;
  dp_peak_fn *peak;
  DP_ACTIVATION_KERNELS(DP_FIELD, )
  DP_ROW_KERNELS(DP_FIELD, )
} dp_kernels;

#define DP_LIST_GEMM(tile, isa, ...) dp_gemm_fn dp_gemm_s8_##tile##_##isa;
#define DP_LIST_S4(tile, isa, gemv, ...)  \
  dp_gemv_s4_fn dp_gemv_s4_1x64c8_##gemv; \
  dp_gemm_s4_fn dp_gemm_s4_##tile##_##isa;
#define DP_LIST_ISA(isa, rows, activations, bytes, gemv, gemm, few, s4, ...) \
  dp_obstacle_fn dp_obstacle_##isa;                                          \
  dp_gemv_fn dp_gemv_s8_1x64c4_##gemv;                                       \
  dp_peak_fn dp_peak_##isa;                                                  \
  DP_ACTIVATION_KERNELS(DP_DECLARE, activations)                             \
  DP_ROW_KERNELS(DP_DECLARE, rows)
#define DP_PORTABLE_TOO /* which tests compare with, in WebAssembly too */
#include "isas.h"
#undef DP_PORTABLE_TOO

dp_widen_outliers_fn dp_widen_outliers_avx2;
dp_stream_row_fn dp_stream_row_amx;
dp_end_gemm_fn dp_end_gemm_amx;

/* The kernels that dp_select_isa chose last. */
const dp_kernels *dp_active_kernels(void);

/* Bytes from one quantised row of K activations to the next. */
size_t dp_row_stride(const dp_kernels *kernels, size_t k);

static inline int32_t dp_outlier_high(const dp_outliers *outliers, uint32_t i) {
  const int32_t high = (int32_t)(outliers->at[i].magnitude >> outliers->at[i].k % DP_KR * 8);
  return i < outliers->negative ? -high : high;
}

/* Where a quantised row has its outliers. */
static inline dp_outliers *dp_row_outliers(const dp_kernels *kernels, const void *xq, size_t k) {
  return (dp_outliers *)((char *)xq + dp_row_stride(kernels, k) - sizeof(dp_outliers));
}

#endif
