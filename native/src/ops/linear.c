/* linear.c: the ops that Linears are made of. */
#include <string.h>

#include "chunks.h"
#include "quantize.h"

enum { FEW_ROWS = 16 }; /* up to here reading the weights takes the time, not multiplying */

/* xq = quantise(row m of x, or of activation(x) * u); returns its scale. */
static float quantize_input(const dp_place *place, uint64_t m, void *xq) {
  const dp_quantize_params *p = &place->op->quantize;
  const dp_kernels *kernels = place->kernels;
  const bool is_bf16 = p->x_type == DP_BF16;
  float *floats = dp_scratch_floats(place);
  const void *input = dp_input_row(place->op, m);
  if (p->u != 0) {
    const char *u = POINTER(const char, p->u) + m * p->k * dp_type_bytes(p->x_type);
    void *gated = is_bf16 ? (void *)dp_scratch_halves(place) : floats;
    dp_gate_fn *gate = is_bf16 ? kernels->gate_bf16 : kernels->gate_f32;
    gate(input, u, p->k, (dp_activation)p->activation, gated);
    input = gated;
  }
  if (p->outliers == 0) {
    dp_quantize_row_fn *quantize = is_bf16 ? kernels->quantize_row_bf16 : kernels->quantize_row_f32;
    return quantize(input, p->k, DP_ABSMAX_FLOOR, xq);
  }
  if (input != floats) kernels->load_row_float(input, (dp_type)p->x_type, p->k, floats);
  return dp_quantize_floats(kernels, floats, p->k, p->outliers, xq);
}

/* The outliers of a quantised row, or NULL where it has none. */
static const dp_outliers *outliers_of(const dp_place *place, const void *xq) {
  const dp_quantize_params *p = &place->op->quantize;
  if (p->outliers == 0) return NULL;
  const dp_outliers *outliers = dp_row_outliers(place->kernels, xq, p->k);
  return outliers->count == 0 ? NULL : outliers;
}

/* ---- GEMV: x[K] (, u[K]) or xq, x_scale, tiles, scale, bias -> y[N]; pieces are columns of 16 channels -------- */

/*
 * Where no op has quantised the row, every worker does so for itself: that takes a microsecond, a
 * barrier takes as long.
 */
static const void *quantized_row(const dp_place *place, float *scale) {
  const dp_quantize_params *p = &place->op->quantize;
  if (p->xq != 0) {
    *scale = *POINTER(const float, p->x_scale);
    return POINTER(const void, p->xq);
  }
  dp_worker *worker = place->worker;
  void *row = dp_scratch_quantized(worker);
  if (worker->row_epoch != place->epoch || worker->row_stage != place->stage || worker->row_address != p->x ||
      worker->row_outliers != p->outliers) {
    worker->row_scale = quantize_input(place, 0, row);
    worker->row_epoch = place->epoch;
    worker->row_stage = place->stage;
    worker->row_address = p->x;
    worker->row_outliers = p->outliers;
  }
  *scale = worker->row_scale;
  return row;
}

static uint64_t run_gemv(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_linear_params *p = &op->linear;
  const dp_kernels *kernels = place->kernels;
  dp_epilogue_fn *epilogue = p->y_type == DP_BF16 ? kernels->epilogue_bf16 : kernels->epilogue_f32;
  const size_t quads = dp_quads(p->input.k), y_bytes = dp_type_bytes(p->y_type);
  const int8_t *tiles = POINTER(const int8_t, p->tiles);
  const int32_t *col_sum = POINTER(const int32_t, p->col_sum);
  const float *w_scale = POINTER(const float, p->scale), *bias = POINTER(const float, p->bias);
  float x_scale;
  const void *row = quantized_row(place, &x_scale);
  const dp_outliers *outliers = outliers_of(place, row);

  _Alignas(64) int32_t acc[DP_NR];
  for (uint64_t column = first; column < last;) {
    uint32_t within = column % DP_COLUMNS;
    uint64_t columns = DP_COLUMNS - within;
    if (columns > last - column) columns = last - column;
    size_t n = column * DP_COLUMN;
    const int8_t *w = tiles + column / DP_COLUMNS * dp_block_bytes(p->input.k) + within * DP_COLUMN * DP_KR;
    kernels->gemv(row, w, quads, (uint32_t)columns, col_sum + n, acc);
    if (outliers != NULL) kernels->add_outliers(outliers, w, (uint32_t)columns, acc);
    size_t count = columns * DP_COLUMN < p->n - n ? columns * DP_COLUMN : p->n - n;
    epilogue(acc, count, x_scale, w_scale + n, bias == NULL ? NULL : bias + n, dp_output_row(op, 0) + n * y_bytes);
    column += columns;
  }
  return (last - first) * quads * DP_COLUMN * DP_KR;
}

static uint64_t gemv_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return dp_divide_up(op->linear.n, DP_COLUMN);
}

static uint64_t gemv_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->linear.input.k * DP_COLUMN;
}

const dp_op_type dp_op_gemv = {.pieces = gemv_pieces, .cost = gemv_cost, .run = run_gemv, .grain = DP_COLUMNS};

/* ---- QUANTIZE: x[M, K] (, u[M, K]) -> xq, x_scale[M]; pieces are rows -------------------------- */

static uint64_t run_quantize(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_quantize_params *p = &place->op->quantize;
  const size_t stride = dp_row_stride(place->kernels, p->k);
  for (uint64_t m = first; m < last; m++) {
    char *xq = POINTER(char, p->xq) + m * stride;
    if (p->x_type == DP_S8) {
      place->kernels->load_row_s8((const int8_t *)dp_input_row(place->op, m), p->k, xq);
    } else {
      POINTER(float, p->x_scale)[m] = quantize_input(place, m, xq);
    }
  }
  return 0;
}

static uint64_t quantize_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->quantize.k * 16;
}

const dp_op_type dp_op_quantize = {.pieces = dp_row_pieces, .cost = quantize_cost, .run = run_quantize, .grain = 1};

/* ---- GEMM: xq[M, K], tiles, scale, bias -> y[M, N]; pieces are a chunk of rows times a block --- */

typedef struct gemm_shape {
  const dp_gemm_tile *tile;
  uint32_t chunks; /* of rows */
  bool rows_stay;  /* pieces of one chunk follow each other, not those of one block */
} gemm_shape;

/* A chunk's activations stay in the L2 cache beside a block of weights. */
static gemm_shape shape_gemm(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const dp_linear_params *p = &op->linear;
  gemm_shape shape = {.tile = kernels->gemm_few, .chunks = 1};
  if (op->m <= FEW_ROWS && !(shape.tile->symmetric && p->y_type == DP_S32)) return shape;
  shape.tile = kernels->gemm;
  const size_t stride = dp_row_stride(kernels, p->input.k), l2_bytes = dp_l2_bytes();
  shape.rows_stay = shape.tile->rows_stay && op->m * stride > l2_bytes;
  const uint64_t cached = dp_at_least(l2_bytes / (shape.rows_stay ? 2 : 4) / stride, shape.tile->mr);
  shape.chunks = dp_row_chunks(op->m, cached, 4 * shape.tile->mr, dp_blocks(p->n), threads);
  return shape;
}

static void write_rows(const dp_place *place, const dp_gemm_tile *tile, uint32_t m, uint32_t rows, size_t n,
                       const int32_t *acc) {
  const dp_op *op = place->op;
  const dp_linear_params *p = &op->linear;
  const dp_kernels *kernels = place->kernels;
  dp_epilogue_fn *epilogue = p->y_type == DP_BF16 ? kernels->epilogue_bf16 : kernels->epilogue_f32;
  const size_t count = DP_NR < p->n - n ? DP_NR : p->n - n, y_bytes = dp_type_bytes(p->y_type);
  const float *bias = p->bias == 0 ? NULL : POINTER(const float, p->bias) + n;
  _Alignas(DP_CACHE_LINE) char streamed[DP_NR * sizeof(float)];
  for (uint32_t i = 0; i < rows; i++, acc += DP_NR) {
    char *y = dp_output_row(op, m + i) + n * y_bytes;
    const void *row = acc;
    if (p->y_type != DP_S32) {
      char *to = tile->stream_row == NULL ? y : streamed;
      float x_scale = POINTER(const float, p->input.x_scale)[m + i];
      epilogue(acc, count, x_scale, POINTER(const float, p->scale) + n, bias, to);
      row = to;
    }
    if (tile->stream_row != NULL) {
      tile->stream_row(y, row, count * y_bytes);
    } else if (row != y) {
      memcpy(y, row, count * y_bytes);
    }
  }
}

static uint64_t run_gemm(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_linear_params *p = &op->linear;
  const gemm_shape shape = shape_gemm(op, place->kernels, place->threads);
  const size_t k = p->input.k, quads = dp_quads(k), bytes = dp_block_bytes(k);
  const size_t stride = dp_row_stride(place->kernels, k);
  _Alignas(64) int32_t acc[DP_MR_MAX * DP_NR];
  for (uint64_t piece = first; piece < last; piece++) {
    /* chunks of one block follow each other, so that the block is read from memory once, unless rows stay */
    const size_t blocks = dp_blocks(p->n), block = shape.rows_stay ? piece % blocks : piece / shape.chunks;
    const size_t n = block * DP_NR;
    const uint64_t chunk = shape.rows_stay ? piece / blocks : piece % shape.chunks;
    const int8_t *w = POINTER(const int8_t, p->tiles) + block * bytes;
    const int32_t *col_sum = POINTER(const int32_t, p->col_sum) + n;
    const uint32_t unit = shape.tile->unit;
    const uint64_t start = dp_cut(op->m, unit, chunk, shape.chunks);
    const uint64_t height = dp_cut(op->m, unit, chunk + 1, shape.chunks) - start;
    /*
     * Tiles of even height: five and five rows are faster than six and four. Each tile asks for its
     * part of the next block, so that memory is read all the time.
     */
    const uint64_t panels = dp_divide_up(height, shape.tile->mr);
    const uint64_t passed = shape.rows_stay ? 0 : chunk * panels;
    const uint64_t all = shape.rows_stay ? panels : shape.chunks * panels;
    uint32_t m = (uint32_t)start;
    for (uint64_t panel = 0, rows; panel < panels; panel++, m += (uint32_t)rows) {
      rows = start + dp_cut(height, unit, panel + 1, panels) - m;
      const char *xq = POINTER(const char, p->input.xq) + m * stride;
      shape.tile->run(xq, stride, (uint32_t)rows, w, quads, col_sum, acc, w + bytes + (passed + panel) * bytes / all);
      for (uint64_t i = 0; shape.tile->widen_outliers == NULL && i < rows; i++) {
        const dp_outliers *outliers = outliers_of(place, xq + i * stride);
        if (outliers != NULL) place->kernels->add_outliers(outliers, w, DP_COLUMNS, acc + i * DP_NR);
      }
      write_rows(place, shape.tile, m, (uint32_t)rows, n, acc);
    }
  }
  if (shape.tile->end != NULL) shape.tile->end();
  return (last - first) * bytes;
}

static uint64_t gemm_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)shape_gemm(op, kernels, threads).chunks * dp_blocks(op->linear.n);
}

static uint64_t gemm_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->linear.input.k * DP_NR * op->m / shape_gemm(op, kernels, threads).chunks;
}

const dp_op_type dp_op_gemm = {.pieces = gemm_pieces, .cost = gemm_cost, .run = run_gemm, .grain = 1};

/* ---- FLOAT: x[M, K], tiles, scale, bias -> y[M, N]; pieces are a row times a block -------------- */

static uint64_t run_float(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_linear_params *p = &op->linear;
  const dp_kernels *kernels = place->kernels;
  const size_t bytes = dp_block_bytes(p->input.k), y_bytes = dp_type_bytes(p->y_type);
  dp_float_epilogue_fn *epilogue = p->y_type == DP_BF16 ? kernels->float_epilogue_bf16 : kernels->float_epilogue_f32;
  float *x = dp_scratch_floats(place);
  _Alignas(64) float acc[DP_NR];
  for (uint64_t piece = first; piece < last; piece++) {
    /* rows of one block follow each other, so that the block is read from memory once */
    const uint64_t block = piece / op->m, m = piece % op->m;
    const size_t n = block * DP_NR, count = DP_NR < p->n - n ? DP_NR : p->n - n;
    const char *row = dp_input_row(op, m);
    kernels->load_row_float(row, (dp_type)p->input.x_type, p->input.k, x);
    kernels->dot_float_64c4(x, POINTER(const int8_t, p->tiles) + block * bytes, dp_quads(p->input.k), acc);
    const float *bias = p->bias == 0 ? NULL : POINTER(const float, p->bias) + n;
    epilogue(acc, count, POINTER(const float, p->scale) + n, bias, dp_output_row(op, m) + n * y_bytes);
  }
  return (last - first) * bytes;
}

static uint64_t float_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->m * dp_blocks(op->linear.n);
}

static uint64_t float_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->linear.input.k * DP_NR * 16;
}

const dp_op_type dp_op_float = {.pieces = float_pieces, .cost = float_cost, .run = run_float, .grain = 1};
