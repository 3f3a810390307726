/* ops.c: one planner and one runner per op; the interpreter in region.c decides who runs what. */
#include "ops.h"

#include <stdbool.h>
#include <string.h>

#include "cpu.h"
#include "kernels.h"

#define POINTER(type, address) ((type *)(uintptr_t)(address))

enum {
  FEW_ROWS = 16,                 /* up to here reading the weights takes the time, not multiplying */
  CLAIM_MACS = 1 << 24,          /* a claim is at most about this much work: well under 1 ms */
  LEAST_MACS = 1 << 16,          /* and at least this, some microseconds, where grains allow */
  UNITS_PER_THREAD = 24,         /* enough that the last unit of a slow worker costs little */
  READ_BYTES = 1 << 20,          /* a piece of DP_OP_READ */
  PEAK_ROUNDS = 1 << 13,         /* a piece of DP_OP_PEAK */
};

static uint32_t at_least(uint64_t value, uint32_t least) {
  return value < least ? least : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static uint64_t divide_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

static size_t type_bytes(uint32_t type) {
  return type == DP_BF16 ? 2 : type == DP_S8 ? 1 : 4;
}

/* ---- rows ------------------------------------------------------------------------------------- */

/* Row m of x or y: they lie one after the other, or wherever a table says. */
static char *row_at(uint64_t base, uint32_t is_table, uint64_t m, size_t row_bytes) {
  return is_table ? POINTER(char, POINTER(const uint64_t, base)[m])
                  : POINTER(char, base) + m * row_bytes;
}

static char *x_row(const dp_op *op, uint64_t m) {
  return row_at(op->x, op->flags & DP_X_ROWS, m, op->k * type_bytes(op->x_type));
}

static char *y_row(const dp_op *op, uint64_t m) {
  return row_at(op->y, op->flags & DP_Y_ROWS, m, op->n * type_bytes(op->y_type));
}

/* A worker's own memory: a quantised row, and a row of floats. */
static void *scratch_quantized(const dp_worker *worker) { return POINTER(void, worker->scratch); }

static float *scratch_floats(const dp_place *place) {
  return POINTER(float, place->worker->scratch + dp_row_stride(place->kernels, DP_MAX_K));
}

uint64_t dp_scratch_bytes(const dp_kernels *kernels) {
  return dp_row_stride(kernels, DP_MAX_K) + DP_MAX_K * sizeof(float);
}

/* xq = quantise(row m of x, or of activation(x) * u); returns its scale. */
static float quantize_input(const dp_place *place, uint64_t m, void *xq) {
  const dp_op *op = place->op;
  const dp_kernels *kernels = place->kernels;
  const bool is_bf16 = op->x_type == DP_BF16;
  const void *input = x_row(op, m);
  if (op->u != 0) {
    const char *u = POINTER(const char, op->u) + m * op->k * type_bytes(op->x_type);
    void *gated = scratch_floats(place);
    dp_gate_fn *gate = is_bf16 ? kernels->gate_bf16 : kernels->gate_f32;
    gate(input, u, op->k, (dp_activation)op->activation, gated);
    input = gated;
  }
  return (is_bf16 ? kernels->quantize_row_bf16 : kernels->quantize_row_f32)(input, op->k, xq);
}

/* ---- GEMV: x[K] (, u[K]), tiles, scale, bias -> y[N]; pieces are columns of 16 channels -------- */

/* Every worker quantises the row for itself: that takes a microsecond, a barrier takes as long. */
static const void *quantized_row(const dp_place *place, float *scale) {
  dp_worker *worker = place->worker;
  void *row = scratch_quantized(worker);
  if (worker->row_epoch != place->epoch || worker->row_address != place->op->x) {
    worker->row_scale = quantize_input(place, 0, row);
    worker->row_epoch = place->epoch;
    worker->row_address = place->op->x;
  }
  *scale = worker->row_scale;
  return row;
}

static uint64_t run_gemv(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_kernels *kernels = place->kernels;
  dp_epilogue_fn *epilogue = op->y_type == DP_BF16 ? kernels->epilogue_bf16 : kernels->epilogue_f32;
  const size_t quads = dp_quads(op->k), y_bytes = type_bytes(op->y_type);
  const int8_t *tiles = POINTER(const int8_t, op->tiles);
  const int32_t *col_sum = POINTER(const int32_t, op->col_sum);
  const float *w_scale = POINTER(const float, op->scale), *bias = POINTER(const float, op->bias);
  float x_scale;
  const void *row = quantized_row(place, &x_scale);

  _Alignas(64) int32_t acc[DP_NR];
  for (uint64_t column = first; column < last;) {
    uint32_t within = column % DP_COLUMNS;
    uint64_t columns = DP_COLUMNS - within;
    if (columns > last - column) columns = last - column;
    size_t n = column * DP_COLUMN;
    const int8_t *w = tiles + column / DP_COLUMNS * dp_block_bytes(op->k) + within * DP_COLUMN * DP_KR;
    kernels->gemv(row, w, quads, (uint32_t)columns, col_sum + n, acc);
    size_t count = columns * DP_COLUMN < op->n - n ? columns * DP_COLUMN : op->n - n;
    epilogue(acc, count, x_scale, w_scale + n, bias == NULL ? NULL : bias + n,
             POINTER(char, op->y) + n * y_bytes);
    column += columns;
  }
  return (last - first) * quads * DP_COLUMN * DP_KR;
}

/* ---- QUANTIZE: x[M, K] (, u[M, K]) -> xq, x_scale[M]; pieces are rows -------------------------- */

static void run_quantize(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const size_t stride = dp_row_stride(place->kernels, op->k);
  for (uint64_t m = first; m < last; m++) {
    char *xq = POINTER(char, op->xq) + m * stride;
    if (op->x_type == DP_S8) {
      place->kernels->load_row_s8((const int8_t *)x_row(op, m), op->k, xq);
    } else {
      POINTER(float, op->x_scale)[m] = quantize_input(place, m, xq);
    }
  }
}

/* ---- GEMM: xq[M, K], tiles, scale, bias -> y[M, N]; pieces are a chunk of rows times a block --- */

typedef struct gemm_shape {
  dp_gemm_tile tile;
  uint32_t chunks; /* of rows; chunk c is rows [M * c / chunks, M * (c + 1) / chunks) */
} gemm_shape;

/*
 * A chunk's activations should stay in the L2 cache beside a block of weights, and there should be
 * pieces enough to share out; but below a few tiles of rows a block is loaded for too little work.
 */
static gemm_shape shape_gemm(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  gemm_shape shape = {.tile = kernels->gemm_few, .chunks = 1};
  if (op->m <= FEW_ROWS) return shape;
  shape.tile = kernels->gemm;
  uint64_t rows = at_least(dp_cpu_l2_bytes() / 4 / dp_row_stride(kernels, op->k), shape.tile.mr);
  uint64_t for_cache = divide_up(op->m, rows);
  uint64_t for_sharing = divide_up((uint64_t)UNITS_PER_THREAD * threads, dp_blocks(op->n));
  uint64_t most_for_sharing = divide_up(op->m, 4 * shape.tile.mr);
  if (for_sharing > most_for_sharing) for_sharing = most_for_sharing;
  shape.chunks = (uint32_t)(for_cache > for_sharing ? for_cache : for_sharing);
  return shape;
}

static void write_rows(const dp_place *place, uint32_t m, uint32_t rows, size_t n,
                       const int32_t *acc) {
  const dp_op *op = place->op;
  const dp_kernels *kernels = place->kernels;
  dp_epilogue_fn *epilogue = op->y_type == DP_BF16 ? kernels->epilogue_bf16 : kernels->epilogue_f32;
  const size_t count = DP_NR < op->n - n ? DP_NR : op->n - n, y_bytes = type_bytes(op->y_type);
  const float *bias = op->bias == 0 ? NULL : POINTER(const float, op->bias) + n;
  for (uint32_t i = 0; i < rows; i++, acc += DP_NR) {
    char *y = y_row(op, m + i) + n * y_bytes;
    if (op->y_type == DP_S32) {
      memcpy(y, acc, count * y_bytes);
    } else {
      float x_scale = POINTER(const float, op->x_scale)[m + i];
      epilogue(acc, count, x_scale, POINTER(const float, op->scale) + n, bias, y);
    }
  }
}

static uint64_t run_gemm(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const gemm_shape shape = shape_gemm(op, place->kernels, place->threads);
  const size_t quads = dp_quads(op->k), stride = dp_row_stride(place->kernels, op->k), bytes = dp_block_bytes(op->k);
  _Alignas(64) int32_t acc[DP_MR_MAX * DP_NR];
  for (uint64_t piece = first; piece < last; piece++) {
    /* chunks of one block follow each other, so that the block is read from memory once */
    const size_t block = piece / shape.chunks, n = block * DP_NR;
    const uint64_t chunk = piece % shape.chunks;
    const int8_t *w = POINTER(const int8_t, op->tiles) + block * bytes;
    const int32_t *col_sum = POINTER(const int32_t, op->col_sum) + n;
    const uint64_t start = op->m * chunk / shape.chunks, end = op->m * (chunk + 1) / shape.chunks;
    /*
     * Tiles of even height: five and five rows are faster than six and four. Each tile asks for its
     * part of the next block, so that memory is read all the time.
     */
    const uint64_t panels = divide_up(end - start, shape.tile.mr);
    for (uint64_t p = 0; p < panels; p++) {
      uint32_t m = (uint32_t)(start + (end - start) * p / panels);
      uint32_t rows = (uint32_t)(start + (end - start) * (p + 1) / panels) - m;
      shape.tile.run(POINTER(const char, op->xq) + m * stride, stride, rows, w, quads, col_sum, acc,
                     w + bytes + (chunk * panels + p) * bytes / (shape.chunks * panels));
      write_rows(place, m, rows, n, acc);
    }
  }
  return (last - first) * bytes;
}

/* ---- FLOAT: x[M, K], tiles, scale, bias -> y[M, N]; pieces are a row times a block -------------- */

static uint64_t run_float(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const dp_kernels *kernels = place->kernels;
  const size_t bytes = dp_block_bytes(op->k), y_bytes = type_bytes(op->y_type);
  dp_finish_fn *finish = op->y_type == DP_BF16 ? kernels->finish_bf16 : kernels->finish_f32;
  float *x = scratch_floats(place);
  _Alignas(64) float acc[DP_NR];
  for (uint64_t piece = first; piece < last; piece++) {
    /* rows of one block follow each other, so that the block is read from memory once */
    const uint64_t block = piece / op->m, m = piece % op->m;
    const size_t n = block * DP_NR, count = DP_NR < op->n - n ? DP_NR : op->n - n;
    const char *row = x_row(op, m);
    kernels->load_row_float(row, (dp_type)op->x_type, op->k, x);
    kernels->dot_float(x, POINTER(const int8_t, op->tiles) + block * bytes, dp_quads(op->k), acc);
    const float *bias = op->bias == 0 ? NULL : POINTER(const float, op->bias) + n;
    finish(acc, count, POINTER(const float, op->scale) + n, bias, y_row(op, m) + n * y_bytes);
  }
  return (last - first) * bytes;
}

/* ---- packing: x[N, K] -> tiles, col_sum (, scale); pieces are blocks -------------------------- */

static void run_pack(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  for (uint64_t block = first; block < last; block++) {
    const size_t n = block * DP_NR;
    const uint32_t channels = op->n - n < DP_NR ? (uint32_t)(op->n - n) : DP_NR;
    int8_t *tiles = POINTER(int8_t, op->tiles) + block * dp_block_bytes(op->k);
    int32_t *col_sum = POINTER(int32_t, op->col_sum) + n;
    const char *w = POINTER(const char, op->x);
    if (op->kind == DP_OP_PACK) {
      dp_pack_block_s8((const int8_t *)w + n * op->k, op->k, channels, op->k, tiles, col_sum);
    } else if (op->kind == DP_OP_PACK_TRANSPOSED) {
      dp_pack_block_transposed_s8((const int8_t *)w + n, op->n, channels, op->k, tiles, col_sum);
    } else {
      w += n * op->k * type_bytes(op->x_type);
      int bad = dp_quantize_pack_block(w, (dp_type)op->x_type, channels, op->k, tiles, col_sum,
                                       POINTER(float, op->scale) + n);
      uint32_t none = 0;
      if (bad >= 0) atomic_compare_exchange_strong(place->fault, &none, (uint32_t)(n + (size_t)bad + 1));
    }
  }
}

/* ---- rooflines: n pieces; y is a uint64 that counts bytes or multiply-adds -------------------- */

static void run_read(const dp_place *place, uint64_t first, uint64_t last) {
  static _Atomic uint64_t sink;
  const dp_op *op = place->op;
  const char *x = POINTER(const char, op->x) + first * READ_BYTES;
  const size_t bytes = (last - first) * READ_BYTES;
  atomic_fetch_xor_explicit(&sink, place->kernels->read(x, bytes), memory_order_relaxed);
  atomic_fetch_add_explicit(POINTER(_Atomic uint64_t, op->y), bytes, memory_order_relaxed);
}

static void run_peak(const dp_place *place, uint64_t first, uint64_t last) {
  static _Atomic int32_t sink;
  int32_t result = 0;
  uint64_t macs = place->kernels->peak((last - first) * PEAK_ROUNDS, &result);
  atomic_fetch_xor_explicit(&sink, result, memory_order_relaxed);
  atomic_fetch_add_explicit(POINTER(_Atomic uint64_t, place->op->y), macs, memory_order_relaxed);
}

/* ---- planning --------------------------------------------------------------------------------- */

static dp_plan plan(uint64_t pieces, uint64_t macs_per_piece, uint32_t grain) {
  dp_plan plan;
  plan.span = at_least(divide_up(pieces, DP_MAX_UNITS), 1);
  /* an op of no pieces, such as one of no rows, is a unit all the same: somebody has to finish it */
  plan.units = at_least(divide_up(pieces, plan.span), 1);
  plan.grain = grain;
  plan.least = at_least(LEAST_MACS / at_least(macs_per_piece * plan.span, 1), 1);
  if (plan.least > grain) plan.least = grain;
  plan.pinned = 0;
  plan.cap = at_least(CLAIM_MACS / at_least(macs_per_piece * plan.span, 1), 1);
  return plan;
}

static uint64_t count_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  switch (op->kind) {
    case DP_OP_GEMV: return divide_up(op->n, DP_COLUMN);
    case DP_OP_QUANTIZE: return op->m;
    case DP_OP_GEMM: return (uint64_t)shape_gemm(op, kernels, threads).chunks * dp_blocks(op->n);
    case DP_OP_PACK:
    case DP_OP_QUANTIZE_PACK:
    case DP_OP_PACK_TRANSPOSED: return dp_blocks(op->n);
    case DP_OP_READ:
    case DP_OP_PEAK: return op->n;
    case DP_OP_FLOAT: return (uint64_t)op->m * dp_blocks(op->n);
    case DP_OP_MEET: return threads;
    default: return 1;
  }
}

dp_plan dp_plan_op(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const uint64_t pieces = count_pieces(op, kernels, threads);
  switch (op->kind) {
    case DP_OP_GEMV: return plan(pieces, (uint64_t)op->k * DP_COLUMN, DP_COLUMNS);
    case DP_OP_GEMM: {
      uint64_t chunks = shape_gemm(op, kernels, threads).chunks;
      return plan(pieces, (uint64_t)op->k * DP_NR * op->m / chunks, 1);
    }
    case DP_OP_QUANTIZE: return plan(pieces, (uint64_t)op->k * 16, 1);
    case DP_OP_READ: return plan(pieces, READ_BYTES, 1);
    case DP_OP_PEAK: return plan(pieces, CLAIM_MACS, 1);
    case DP_OP_MEET: {
      dp_plan everyone = plan(pieces, CLAIM_MACS, 1);
      everyone.pinned = 1;
      return everyone;
    }
    default: return plan(pieces, (uint64_t)op->k * DP_NR * 16, 1);
  }
}

uint64_t dp_run_units(const dp_place *place, uint32_t first_unit, uint32_t last_unit) {
  const dp_op *op = place->op;
  const uint64_t pieces = count_pieces(op, place->kernels, place->threads);
  const uint64_t first = (uint64_t)first_unit * place->span;
  uint64_t last = (uint64_t)last_unit * place->span;
  if (last > pieces) last = pieces;
  switch (op->kind) {
    case DP_OP_GEMV: return run_gemv(place, first, last);
    case DP_OP_GEMM: return run_gemm(place, first, last);
    case DP_OP_FLOAT: return run_float(place, first, last);
    case DP_OP_QUANTIZE: run_quantize(place, first, last); break;
    case DP_OP_PACK:
    case DP_OP_QUANTIZE_PACK:
    case DP_OP_PACK_TRANSPOSED: run_pack(place, first, last); break;
    case DP_OP_READ: run_read(place, first, last); break;
    case DP_OP_PEAK: run_peak(place, first, last); break;
    default: break;
  }
  return 0;
}
