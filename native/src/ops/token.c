/* token.c: the float ops on the way from an id to the next one, around the Linears and the attention. */
#include <stdatomic.h>
#include <string.h>

#include "chunks.h"
#include "quantize.h"

enum { CHANNELS = 16 }; /* of a piece of DENSE */

/* ---- EMBED: rows[M] (, samples), w[N, K] -> y[M, K]; pieces are rows ------------------------------ */

/* The id of a row, or the one sampled for it, which is past all where none could be. False: none was sampled there. */
static bool find_id(const dp_embed_params *p, const dp_row *row, uint32_t *id) {
  const uint32_t sample = row->id & ~DP_FROM_SAMPLE;
  *id = row->id;
  if (!(row->id & DP_FROM_SAMPLE)) return row->id < p->n;
  if (sample >= p->sample_count) return false;
  *id = POINTER(const dp_sample, p->samples)[sample].id;
  return true;
}

static uint64_t run_embed(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_embed_params *p = &place->op->embed;
  const size_t bytes = dp_dense_stride(p->k) * dp_type_bytes(p->w_type);
  for (uint64_t m = first; m < last; m++) {
    const dp_row *row = POINTER(const dp_row, p->rows) + m;
    uint32_t id;
    if (!find_id(p, row, &id)) {
      dp_note_fault(place, DP_BAD_ROW | (uint32_t)m);
      continue;
    }
    float *y = POINTER(float, p->y) + m * p->k;
    if (id < p->n) {
      place->kernels->embed(POINTER(const char, p->w) + id * bytes, (dp_type)p->w_type, p->k, y);
    } else {
      memset(y, 0, p->k * sizeof *y);
    }
  }
  return (last - first) * bytes;
}

static uint64_t embed_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->embed.k * 8;
}

const dp_op_type dp_op_embed = {.pieces = dp_row_pieces, .cost = embed_cost, .run = run_embed, .grain = 1};

/* ---- NORM: x[N, K] (, u[N, K], rows[M]), scale -> x, y[M, K] or xq, x_scale[M]; pieces are rows -- */

static uint64_t run_norm(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_norm_params *p = &place->op->norm;
  const dp_kernels *kernels = place->kernels;
  const size_t k = p->k, stride = dp_row_stride(kernels, k);
  for (uint64_t m = first; m < last; m++) {
    const uint64_t row = p->rows == 0 ? m : POINTER(const uint32_t, p->rows)[m];
    if (p->rows != 0 && row >= p->n) {
      dp_note_fault(place, DP_BAD_ROW | (uint32_t)m);
      continue;
    }
    const float *u = p->u == 0 ? NULL : POINTER(const float, p->u) + row * k;
    float *normed = p->y == 0 ? dp_scratch_floats(place) : POINTER(float, p->y) + m * k;
    kernels->rms_norm(POINTER(float, p->x) + row * k, u, POINTER(const float, p->scale), k, p->eps, normed);
    if (p->xq == 0) continue;
    if (p->y != 0 && p->outliers > 0) normed = memcpy(dp_scratch_floats(place), normed, k * sizeof *normed);
    void *xq = POINTER(char, p->xq) + m * stride;
    POINTER(float, p->x_scale)[m] = dp_quantize_floats(kernels, normed, k, p->outliers, xq);
  }
  return 0;
}

static uint64_t norm_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->norm.k * 32;
}

const dp_op_type dp_op_norm = {.pieces = dp_row_pieces, .cost = norm_cost, .run = run_norm, .grain = 1};

/* ---- DENSE: x[M, K], w[N, K], bias -> y[M, N]; pieces are a chunk of rows times channels - */

static uint32_t dense_chunks(const dp_op *op, uint32_t threads) {
  const dp_dense_params *p = &op->dense;
  const uint64_t cached = dp_at_least(dp_l2_bytes() / 4 / (p->k * sizeof(float)), DP_DENSE_ROWS);
  return dp_row_chunks(op->m, cached, DP_DENSE_ROWS, dp_divide_up(p->n, CHANNELS), threads);
}

static uint64_t run_dense(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_dense_params *p = &op->dense;
  dp_dense_fn *dense = p->w_type == DP_BF16 ? place->kernels->dense_bf16 : place->kernels->dense_f32;
  const size_t bytes = dp_dense_stride(p->k) * dp_type_bytes(p->w_type);
  const uint32_t chunks = dense_chunks(op, place->threads);
  uint64_t read = 0;
  for (uint64_t piece = first; piece < last; piece++) {
    /* chunks of the same channels follow each other, so that those are read from memory once */
    const uint64_t n = piece / chunks * CHANNELS, chunk = piece % chunks;
    const uint32_t count = p->n - n < CHANNELS ? (uint32_t)(p->n - n) : CHANNELS;
    const char *w = POINTER(const char, p->w) + n * bytes;
    const float *bias = p->bias == 0 ? NULL : POINTER(const float, p->bias) + n;
    const uint64_t end = dp_cut(op->m, 1, chunk + 1, chunks);
    for (uint64_t m = dp_cut(op->m, 1, chunk, chunks); m < end; m += DP_DENSE_ROWS) {
      const uint32_t rows = end - m < DP_DENSE_ROWS ? (uint32_t)(end - m) : DP_DENSE_ROWS;
      const float *x[DP_DENSE_ROWS];
      float *y[DP_DENSE_ROWS];
      for (uint32_t i = 0; i < rows; i++) {
        x[i] = (const float *)dp_row_at(p->x, op->flags & DP_X_ROWS, m + i, p->k * sizeof(float));
        y[i] = (float *)dp_row_at(p->y, op->flags & DP_Y_ROWS, m + i, p->n * sizeof(float)) + n;
      }
      dense(x, rows, w, count, p->k, bias, y);
    }
    read += count * bytes;
  }
  return read;
}

static uint64_t dense_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)dense_chunks(op, threads) * dp_divide_up(op->dense.n, CHANNELS);
}

/* Reading, then multiplying. */
static uint64_t dense_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const uint64_t rows = dp_divide_up(op->m, dense_chunks(op, threads));
  return (uint64_t)op->dense.k * CHANNELS * (dp_type_bytes(op->dense.w_type) + rows);
}

const dp_op_type dp_op_dense = {.pieces = dense_pieces, .cost = dense_cost, .run = run_dense, .grain = 4};

/* ---- SAMPLE: logits[M, N], samples[M] -> samples; pieces are rows ---------------------------------- */

/* Whether all ids that it names have a logit. */
static bool names_ids_below(const dp_sample *sample, uint32_t n) {
  if (sample->action == DP_SAMPLE_SCORE) return sample->id < n;
  const dp_adjustment *adjustments = POINTER(const dp_adjustment, sample->adjustments);
  bool below = true;
  for (uint32_t i = 0; i < sample->adjustment_count; i++) below &= (adjustments[i].id & ~DP_PENALISED) < n;
  return below;
}

/* Whether the mask is the one that is meant: its bits are written before its tag. */
static bool has_mask(const dp_sample *sample) {
  if (sample->mask == 0) return true;
  return atomic_load_explicit(POINTER(_Atomic uint32_t, sample->mask), memory_order_acquire) == sample->mask_tag;
}

/* Sampling uses the logits up, so what they were is told from a copy. */
static dp_sample_outcome sample_token(const dp_kernels *kernels, float *logits, size_t n, dp_sample *sample) {
  if (!has_mask(sample)) return DP_SAMPLE_LATE;
  if (sample->copy == 0) return kernels->sample_row(logits, n, sample);
  float *copy = POINTER(float, sample->copy);
  memcpy(copy, logits, n * sizeof *copy);
  sample->id = 0;
  dp_sample_outcome outcome = kernels->score(copy, n, sample);
  if (outcome == DP_SAMPLE_DONE) outcome = kernels->sample_row(logits, n, sample);
  if (outcome == DP_SAMPLE_DONE) sample->logit = copy[sample->id];
  return outcome;
}

static uint64_t run_sample(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_sample_params *p = &place->op->sample;
  const dp_kernels *kernels = place->kernels;
  for (uint64_t m = first; m < last; m++) {
    dp_sample *sample = POINTER(dp_sample, p->samples) + m;
    float *logits = POINTER(float, p->logits) + m * p->n;
    if (sample->action == DP_SAMPLE_NOTHING) continue;
    if (!names_ids_below(sample, p->n)) {
      sample->outcome = DP_SAMPLE_OUTSIDE;
      dp_note_fault(place, DP_BAD_ROW | (uint32_t)m);
      continue;
    }
    sample->outcome = sample->action == DP_SAMPLE_TOKEN ? sample_token(kernels, logits, p->n, sample)
                                                        : kernels->score(logits, p->n, sample);
    if (sample->outcome != DP_SAMPLE_DONE) dp_note_fault(place, (uint32_t)m + 1);
  }
  return 0;
}

static uint64_t sample_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->sample.n * 32;
}

const dp_op_type dp_op_sample = {.pieces = dp_row_pieces, .cost = sample_cost, .run = run_sample, .grain = 1};
