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

/* ---- weights of four bits ------------------------------------------------------------------------------------ */

static bool is_s4(const dp_op *op) { return op->linear.w_type == DP_S4; }

/* Bytes of a block of weights. */
static size_t block_bytes(const dp_op *op) {
  const size_t k = op->linear.input.k;
  return is_s4(op) ? dp_s4_block_bytes(k) : dp_block_bytes(k);
}

/* A block is decoded a stretch of k after the other, for kernels of int8: their sums add up, each modulo 2^32. */
typedef struct stretch {
  size_t k, quads;
  const uint8_t *w;
} stretch;

static uint32_t stretches_of(const dp_op *op) { return (uint32_t)dp_divide_up(op->linear.input.k, DP_STRETCH_K); }

static stretch stretch_at(const dp_op *op, const uint8_t *block, uint32_t i) {
  const size_t k = (size_t)i * DP_STRETCH_K, left = op->linear.input.k - k;
  return (stretch){
      .k = k,
      .quads = dp_quads(left < DP_STRETCH_K ? left : DP_STRETCH_K),
      .w = block + dp_s4_block_bytes(k),
  };
}

/* Decodes columns of a stretch into scratch. */
static const int8_t *decode(const dp_place *place, stretch s, uint32_t first, uint32_t columns) {
  int8_t *tiles = dp_scratch_tiles(place);
  place->kernels->decode_s4(s.w, dp_s4_groups(s.quads * DP_KR), first, columns, tiles);
  return tiles;
}

static const void *quantised_at(const dp_place *place, const void *xq, stretch s) {
  return (const char *)xq + s.k * place->kernels->activation_bytes;
}

/* What kernels take off their sums is the whole row's, and taken off with the first stretch. */
static const int32_t *stretch_col_sum(uint32_t i, const int32_t *col_sum) {
  static _Alignas(DP_CACHE_LINE) const int32_t none[DP_NR];
  return i == 0 ? col_sum : none;
}

static void add_sums(int32_t *acc, const int32_t *sums, size_t count) {
  for (size_t i = 0; i < count; i++) acc[i] = (int32_t)((uint32_t)acc[i] + (uint32_t)sums[i]);
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

/* acc = row times columns of a block of four bits */
static void gemv_s4(const dp_place *place, const void *row, const uint8_t *block, uint32_t first, uint32_t columns,
                    const int32_t *col_sum, int32_t *acc) {
  const dp_op *op = place->op;
  const dp_kernels *kernels = place->kernels;
  if (kernels->s4->gemv != NULL) {
    kernels->s4->gemv(row, block, dp_s4_groups(op->linear.input.k), first, columns, acc);
    return;
  }
  _Alignas(DP_CACHE_LINE) int32_t sums[DP_NR];
  for (uint32_t i = 0; i < stretches_of(op); i++) {
    const stretch s = stretch_at(op, block, i);
    const int8_t *tiles = decode(place, s, first, columns) + first * DP_COLUMN * DP_KR;
    kernels->gemv(quantised_at(place, row, s), tiles, s.quads, columns, stretch_col_sum(i, col_sum),
                  i == 0 ? acc : sums);
    if (i > 0) add_sums(acc, sums, columns * DP_COLUMN);
  }
}

static uint64_t run_gemv(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_linear_params *p = &op->linear;
  const dp_kernels *kernels = place->kernels;
  dp_epilogue_fn *epilogue = p->y_type == DP_BF16 ? kernels->epilogue_bf16 : kernels->epilogue_f32;
  const size_t quads = dp_quads(p->input.k), y_bytes = dp_type_bytes(p->y_type);
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
    const uint8_t *block = POINTER(const uint8_t, p->tiles) + column / DP_COLUMNS * block_bytes(op);
    if (is_s4(op)) {
      gemv_s4(place, row, block, within, (uint32_t)columns, col_sum + n, acc);
      if (outliers != NULL) kernels->add_outliers_s4(outliers, block, within, (uint32_t)columns, acc);
    } else {
      const int8_t *w = (const int8_t *)block + within * DP_COLUMN * DP_KR;
      kernels->gemv(row, w, quads, (uint32_t)columns, col_sum + n, acc);
      if (outliers != NULL) kernels->add_outliers(outliers, w, (uint32_t)columns, acc);
    }
    size_t count = columns * DP_COLUMN < p->n - n ? columns * DP_COLUMN : p->n - n;
    epilogue(acc, count, x_scale, w_scale + n, bias == NULL ? NULL : bias + n, dp_output_row(op, 0) + n * y_bytes);
    column += columns;
  }
  return (last - first) * block_bytes(op) / DP_COLUMNS;
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

enum { DECODED_ROWS = 512 }; /* for so many rows a block is decoded once */

typedef struct gemm_shape {
  const dp_gemm_tile *tile;
  uint32_t mr;     /* most rows of a panel */
  uint32_t chunks; /* of rows */
  bool rows_stay;  /* pieces of one chunk follow each other, not those of one block */
  bool decodes;    /* weights of four bits into int8 */
} gemm_shape;

/* A chunk's activations stay in the L2 cache beside a block of weights. */
static gemm_shape shape_gemm(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const dp_linear_params *p = &op->linear;
  gemm_shape shape = {.tile = kernels->gemm_few, .chunks = 1, .decodes = is_s4(op) && op->m > kernels->s4->most};
  const bool own = is_s4(op) && !shape.decodes;
  shape.mr = own ? kernels->s4->mr : shape.tile->mr;
  if (op->m <= FEW_ROWS && !(shape.tile->symmetric && p->y_type == DP_S32)) return shape;
  shape.tile = kernels->gemm;
  if (!own) shape.mr = shape.tile->mr;
  const size_t stride = dp_row_stride(kernels, p->input.k), l2_bytes = dp_l2_bytes();
  shape.rows_stay = !own && shape.tile->rows_stay && op->m * stride > l2_bytes;
  uint64_t cached = dp_at_least(l2_bytes / (shape.rows_stay ? 2 : 4) / stride, shape.mr);
  if (shape.decodes && (!shape.rows_stay || cached > DECODED_ROWS)) cached = DECODED_ROWS;
  shape.chunks = dp_row_chunks(op->m, cached, 4 * shape.mr, dp_blocks(p->n), threads);
  return shape;
}

/* Rows start .. start + height - 1, in panels, times a block. */
typedef struct gemm_piece {
  size_t block;
  uint64_t start, height, panels;
  uint64_t passed, all; /* panels that pass the block before these, and all */
} gemm_piece;

/* Chunks of one block follow each other, so that the block is read from memory once, unless rows stay. */
static gemm_piece piece_at(const dp_op *op, const gemm_shape *shape, uint64_t i) {
  const size_t blocks = dp_blocks(op->linear.n);
  const uint32_t unit = shape->tile->unit;
  const uint64_t chunk = shape->rows_stay ? i / blocks : i % shape->chunks;
  gemm_piece piece = {.block = shape->rows_stay ? i % blocks : i / shape->chunks};
  piece.start = dp_cut(op->m, unit, chunk, shape->chunks);
  piece.height = dp_cut(op->m, unit, chunk + 1, shape->chunks) - piece.start;
  piece.panels = dp_divide_up(piece.height, shape->mr);
  piece.passed = shape->rows_stay ? 0 : chunk * piece.panels;
  piece.all = shape->rows_stay ? piece.panels : shape->chunks * piece.panels;
  return piece;
}

/* Where panel i begins, tiles of even height: five and five rows are faster than six and four. */
static uint64_t panel_start(const gemm_piece *piece, uint32_t unit, uint64_t i) {
  return piece->start + dp_cut(piece->height, unit, i, piece->panels);
}

/* A panel's part of the next block, which it asks for, so that memory is read all the time. */
static const void *part_ahead(const gemm_piece *piece, const void *w, size_t bytes, uint64_t panel) {
  return (const char *)w + bytes + (piece->passed + panel) * bytes / piece->all;
}

static void write_rows(const dp_place *place, dp_stream_row_fn *stream_row, uint64_t m, uint64_t rows, size_t n,
                       const int32_t *acc) {
  const dp_op *op = place->op;
  const dp_linear_params *p = &op->linear;
  const dp_kernels *kernels = place->kernels;
  dp_epilogue_fn *epilogue = p->y_type == DP_BF16 ? kernels->epilogue_bf16 : kernels->epilogue_f32;
  const size_t count = DP_NR < p->n - n ? DP_NR : p->n - n, y_bytes = dp_type_bytes(p->y_type);
  const float *bias = p->bias == 0 ? NULL : POINTER(const float, p->bias) + n;
  _Alignas(DP_CACHE_LINE) char streamed[DP_NR * sizeof(float)];
  for (uint64_t i = 0; i < rows; i++, acc += DP_NR) {
    char *y = dp_output_row(op, m + i) + n * y_bytes;
    const void *row = acc;
    if (p->y_type != DP_S32) {
      char *to = stream_row == NULL ? y : streamed;
      float x_scale = POINTER(const float, p->input.x_scale)[m + i];
      epilogue(acc, count, x_scale, POINTER(const float, p->scale) + n, bias, to);
      row = to;
    }
    if (stream_row != NULL) {
      stream_row(y, row, count * y_bytes);
    } else if (row != y) {
      memcpy(y, row, count * y_bytes);
    }
  }
}

static void run_piece_s8(const dp_place *place, const gemm_shape *shape, const gemm_piece *piece, const int8_t *w) {
  const dp_linear_params *p = &place->op->linear;
  const dp_gemm_tile *tile = shape->tile;
  const size_t n = piece->block * DP_NR, stride = dp_row_stride(place->kernels, p->input.k);
  const int32_t *col_sum = POINTER(const int32_t, p->col_sum) + n;
  _Alignas(64) int32_t acc[DP_MR_MAX * DP_NR];
  for (uint64_t panel = 0; panel < piece->panels; panel++) {
    const uint64_t m = panel_start(piece, tile->unit, panel), rows = panel_start(piece, tile->unit, panel + 1) - m;
    const char *xq = POINTER(const char, p->input.xq) + m * stride;
    const void *ahead = part_ahead(piece, w, dp_block_bytes(p->input.k), panel);
    tile->run(xq, stride, (uint32_t)rows, w, dp_quads(p->input.k), col_sum, acc, ahead);
    for (uint64_t i = 0; tile->widen_outliers == NULL && i < rows; i++) {
      const dp_outliers *outliers = outliers_of(place, xq + i * stride);
      if (outliers != NULL) place->kernels->add_outliers(outliers, w, DP_COLUMNS, acc + i * DP_NR);
    }
    write_rows(place, tile->stream_row, m, rows, n, acc);
  }
}

/* `tiles`: all of the block, decoded, where nothing is left to unpack; or NULL. */
static void add_rows_outliers_s4(const dp_place *place, const char *xq, uint64_t rows, const uint8_t *w,
                                 const int8_t *tiles, int32_t *acc) {
  const size_t stride = dp_row_stride(place->kernels, place->op->linear.input.k);
  for (uint64_t i = 0; i < rows; i++, acc += DP_NR) {
    const dp_outliers *outliers = outliers_of(place, xq + i * stride);
    if (outliers == NULL) continue;
    if (tiles == NULL) {
      place->kernels->add_outliers_s4(outliers, w, 0, DP_COLUMNS, acc);
    } else {
      place->kernels->add_outliers(outliers, tiles, DP_COLUMNS, acc);
    }
  }
}

static void run_piece_s4(const dp_place *place, const gemm_piece *piece, const uint8_t *w) {
  const dp_linear_params *p = &place->op->linear;
  const size_t stride = dp_row_stride(place->kernels, p->input.k);
  _Alignas(64) int32_t acc[DP_MR_MAX * DP_NR];
  for (uint64_t panel = 0; panel < piece->panels; panel++) {
    const uint64_t m = panel_start(piece, 1, panel), rows = panel_start(piece, 1, panel + 1) - m;
    const char *xq = POINTER(const char, p->input.xq) + m * stride;
    place->kernels->s4->gemm(xq, stride, (uint32_t)rows, w, dp_s4_groups(p->input.k), acc);
    add_rows_outliers_s4(place, xq, rows, w, NULL, acc);
    write_rows(place, NULL, m, rows, piece->block * DP_NR, acc);
  }
}

/* `decoded`: the block whose only stretch lies in scratch, or none. */
static void run_piece_decoded(const dp_place *place, const gemm_shape *shape, const gemm_piece *piece, const uint8_t *w,
                              size_t *decoded) {
  const dp_op *op = place->op;
  const dp_linear_params *p = &op->linear;
  const dp_gemm_tile *tile = shape->tile;
  const size_t n = piece->block * DP_NR, stride = dp_row_stride(place->kernels, p->input.k);
  const int32_t *col_sum = POINTER(const int32_t, p->col_sum) + n;
  const uint32_t stretches = stretches_of(op);
  _Alignas(64) int32_t acc[DP_MR_MAX * DP_NR];
  int32_t *kept = (int32_t *)(void *)dp_scratch_floats(place); /* [DECODED_ROWS][DP_NR], from stretch to stretch */
  for (uint32_t i = 0; i < stretches; i++) {
    const stretch s = stretch_at(op, w, i);
    const int8_t *tiles = dp_scratch_tiles(place);
    if (stretches > 1 || *decoded != piece->block) tiles = decode(place, s, 0, DP_COLUMNS);
    for (uint64_t panel = 0; panel < piece->panels; panel++) {
      const uint64_t m = panel_start(piece, tile->unit, panel), rows = panel_start(piece, tile->unit, panel + 1) - m;
      const char *xq = POINTER(const char, p->input.xq) + m * stride;
      const void *ahead = part_ahead(piece, w, dp_s4_block_bytes(p->input.k), panel);
      int32_t *sums = stretches == 1 ? acc : kept + (m - piece->start) * DP_NR;
      tile->run(quantised_at(place, xq, s), stride, (uint32_t)rows, tiles, s.quads, stretch_col_sum(i, col_sum),
                i == 0 ? sums : acc, ahead);
      if (i > 0) add_sums(sums, acc, rows * DP_NR);
      if (i + 1 < stretches) continue;
      add_rows_outliers_s4(place, xq, rows, w, stretches == 1 ? tiles : NULL, sums);
      write_rows(place, tile->stream_row, m, rows, n, sums);
    }
  }
  *decoded = piece->block;
}

static uint64_t run_gemm(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const gemm_shape shape = shape_gemm(op, place->kernels, place->threads);
  const size_t bytes = block_bytes(op);
  size_t decoded = SIZE_MAX;
  for (uint64_t i = first; i < last; i++) {
    const gemm_piece piece = piece_at(op, &shape, i);
    const uint8_t *w = POINTER(const uint8_t, op->linear.tiles) + piece.block * bytes;
    if (shape.decodes) {
      run_piece_decoded(place, &shape, &piece, w, &decoded);
    } else if (is_s4(op)) {
      run_piece_s4(place, &piece, w);
    } else {
      run_piece_s8(place, &shape, &piece, (const int8_t *)w);
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
  const size_t bytes = block_bytes(op), y_bytes = dp_type_bytes(p->y_type);
  dp_float_epilogue_fn *epilogue = p->y_type == DP_BF16 ? kernels->float_epilogue_bf16 : kernels->float_epilogue_f32;
  float *x = dp_scratch_floats(place);
  _Alignas(64) float acc[DP_NR];
  for (uint64_t piece = first; piece < last; piece++) {
    /* rows of one block follow each other, so that the block is read from memory once */
    const uint64_t block = piece / op->m, m = piece % op->m;
    const size_t n = block * DP_NR, count = DP_NR < p->n - n ? DP_NR : p->n - n;
    const char *row = dp_input_row(op, m);
    const uint8_t *w = POINTER(const uint8_t, p->tiles) + block * bytes;
    kernels->load_row_float(row, (dp_type)p->input.x_type, p->input.k, x);
    memset(acc, 0, sizeof acc);
    if (is_s4(op)) {
      for (uint32_t i = 0; i < stretches_of(op); i++) {
        const stretch s = stretch_at(op, w, i);
        kernels->dot_float_64c4(x + s.k, decode(place, s, 0, DP_COLUMNS), s.quads, acc);
      }
    } else {
      kernels->dot_float_64c4(x, (const int8_t *)w, dp_quads(p->input.k), acc);
    }
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
