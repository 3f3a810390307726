#include "linear_case.h"

#include <math.h>
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"

static size_t size_of(dp_type type) { return type == DP_BF16 ? 2 : type == DP_S8 ? 1 : 4; }

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

/* ---- cases ------------------------------------------------------------------------------------ */

/* Weights of four bits, and what they stand for. */
static void make_int4(linear_case *linear) {
  const uint32_t n = linear->n, k = linear->k;
  linear->w_type = DP_S4;
  linear->nibbles = make_input((size_t)n * ((k + 1) / 2), 1);
  linear->multipliers = make_input(n * dp_s4_groups(k), 1);
  linear->tiles = make_input(dp_blocks(n) * dp_s4_block_bytes(k), 64);
  random_int4(linear->nibbles.at, linear->multipliers.at, n, k);
  oracle_decode_s4(linear->nibbles.at, linear->multipliers.at, n, k, linear->w.at);
  oracle_pack_s4(linear->nibbles.at, linear->multipliers.at, n, k, linear->tiles.at, linear->col_sum.at);
}

static void make_int8(linear_case *linear) {
  linear->w_type = DP_S8;
  linear->tiles = make_input(dp_blocks(linear->n) * dp_block_bytes(linear->k), 64);
  random_bytes(linear->w.at, linear->w.bytes);
  oracle_pack(linear->w.at, linear->n, linear->k, linear->tiles.at, linear->col_sum.at);
}

static linear_case make_weights(uint32_t m, uint32_t n, uint32_t k, dp_type w_type) {
  const size_t padded = dp_blocks(n) * DP_NR;
  linear_case linear = {.m = m, .n = n, .k = k, .quantises = true, .has_bias = one_in(2)};
  linear.w = make_input((size_t)n * k, 1);
  linear.col_sum = make_input(padded * sizeof(int32_t), 64);
  linear.scale = make_input(padded * sizeof(float), 64);
  linear.bias = make_input(padded * sizeof(float), 64);
  (w_type == DP_S4 ? make_int4 : make_int8)(&linear);
  random_floats(linear.scale.at, padded);
  random_floats(linear.bias.at, padded);
  return linear;
}

/* activation(x) * u of one row; test_gate.c tests the reference function. */
static block gated_row(const linear_case *linear, uint32_t m) {
  const size_t size = size_of(linear->x_type), at = (size_t)m * linear->k * size;
  block row = make_input(linear->k * size, size);
  memcpy(row.at, (const char *)linear->x.at + at, row.bytes);
  if (linear->activation != DP_ACT_NONE) {
    dp_gate_fn *gate = linear->x_type == DP_BF16 ? dp_gate_bf16_scalar : dp_gate_f32_scalar;
    gate(row.at, (const char *)linear->u.at + at, linear->k, linear->activation, row.at);
  }
  return row;
}

static float expect_channel(const linear_case *linear, const void *row, const int32_t *q, float x_scale, uint32_t n) {
  const int8_t *w = (int8_t *)linear->w.at + (size_t)n * linear->k;
  const float w_scale = ((float *)linear->scale.at)[n];
  const float *bias = linear->has_bias ? (const float *)linear->bias.at + n : NULL;
  if (!linear->quantises) {
    return oracle_dequantize_float(oracle_float_dot(row, linear->x_type, w, linear->k), w_scale, bias);
  }
  return oracle_dequantize(oracle_dot_with(q, w, linear->k), x_scale, w_scale, bias);
}

static void expect_row(const linear_case *linear, uint32_t m) {
  block row = gated_row(linear, m), q = make_input(linear->k * sizeof(int32_t), 4);
  float x_scale = 0;
  if (linear->x_type == DP_S8) {
    for (uint32_t i = 0; i < linear->k; i++) ((int32_t *)q.at)[i] = ((int8_t *)row.at)[i];
  } else {
    x_scale = oracle_quantize_row_with(row.at, linear->x_type, linear->k, linear->outliers, q.at);
  }
  for (uint32_t n = 0; n < linear->n; n++) {
    const size_t at = (size_t)m * linear->n + n;
    if (linear->y_type == DP_S32) {
      const int32_t acc = oracle_dot_with(q.at, (int8_t *)linear->w.at + (size_t)n * linear->k, linear->k);
      memcpy((int32_t *)linear->expected.at + at, &acc, sizeof acc);
    } else {
      oracle_store(linear->expected.at, linear->y_type, at, expect_channel(linear, row.at, q.at, x_scale, n));
    }
  }
  free_block(&row), free_block(&q);
}

static void expect(linear_case *linear) {
  linear->expected = make_input((size_t)linear->m * linear->n * size_of(linear->y_type), 4);
  for (uint32_t m = 0; m < linear->m; m++) expect_row(linear, m);
}

/* Makes some elements outliers. */
static void enlarge(float *values, size_t k) {
  for (uint32_t i = random_between(0, 20); i > 0; i--) {
    values[random_between(0, (uint32_t)k - 1)] *= (float)random_between(1, 300);
  }
}

static block random_rows(const linear_case *linear) {
  const size_t size = size_of(linear->x_type), k = linear->k;
  block rows = make_input(linear->m * k * size, size), values = make_input(k * sizeof(float), 4);
  for (uint32_t m = 0; m < linear->m; m++) {
    random_floats(values.at, k);
    if (one_in(2)) enlarge(values.at, k);
    if (one_in(10)) spoil(values.at, k);
    for (size_t i = 0; i < k; i++) {
      oracle_store(rows.at, linear->x_type, m * k + i, ((float *)values.at)[i]);
    }
  }
  free_block(&values);
  return rows;
}

linear_case make_linear_case(uint32_t m, uint32_t n, uint32_t k) {
  linear_case linear = make_weights(m, n, k, one_in(3) ? DP_S4 : DP_S8);
  linear.x_type = one_in(2) ? DP_F32 : DP_BF16;
  linear.y_type = one_in(2) ? DP_F32 : DP_BF16;
  linear.quantises = !one_in(5);
  if (linear.quantises && one_in(2)) linear.outliers = random_between(1, k < 130000 ? DP_MAX_OUTLIERS : 8);
  linear.x = random_rows(&linear);
  if (linear.quantises && one_in(3)) {
    linear.activation = (dp_activation)random_between(DP_ACT_SILU, DP_ACT_RELU2);
    linear.u = random_rows(&linear);
  }
  expect(&linear);
  return linear;
}

linear_case make_integer_case(uint32_t m, uint32_t n, uint32_t k) {
  linear_case linear = make_weights(m, n, k, DP_S8);
  linear.x_type = DP_S8;
  linear.y_type = DP_S32;
  linear.x = make_input((size_t)m * k, 1);
  random_bytes(linear.x.at, linear.x.bytes);
  expect(&linear);
  return linear;
}

void free_linear_case(linear_case *linear) {
  free_block(&linear->nibbles), free_block(&linear->multipliers);
  free_block(&linear->w), free_block(&linear->tiles), free_block(&linear->col_sum);
  free_block(&linear->scale), free_block(&linear->bias);
  free_block(&linear->x), free_block(&linear->u), free_block(&linear->expected);
}

/* ---- calls ------------------------------------------------------------------------------------ */

/* Rows of `width` bytes in reverse, and the table that puts them in order again. */
static block reverse_table(const block *rows, uint32_t m, size_t width) {
  block table = make_input(m * sizeof(uint64_t), 8);
  for (uint32_t i = 0; i < m; i++) ((uint64_t *)table.at)[i] = address_of(rows) + (m - 1 - i) * width;
  return table;
}

static void push_op(linear_call *call, dp_op op, dp_op_kind kind) {
  op.kind = kind;
  call->ops[call->op_count++] = op;
}

/* Adds the ops that prepare the input: none for ops that do that themselves. Returns the multiplication. */
static dp_op_kind push_quantize(linear_call *call, dp_op *op) {
  const linear_case *linear = call->linear;
  if (!linear->quantises) return DP_OP_FLOAT;
  const bool single = linear->m == 1 && linear->x_type != DP_S8;
  if (single && !one_in(3)) {
    op->linear.input.xq = 0;
    return DP_OP_GEMV;
  }
  push_op(call, *op, DP_OP_QUANTIZE);
  return single && one_in(2) ? DP_OP_GEMV : DP_OP_GEMM;
}

static void scatter_input(linear_call *call, dp_op *op) {
  const linear_case *linear = call->linear;
  const size_t width = linear->k * size_of(linear->x_type);
  call->x_copy = make_input(linear->x.bytes, size_of(linear->x_type));
  call->x_table = reverse_table(&call->x_copy, linear->m, width);
  for (uint32_t m = 0; m < linear->m; m++) {
    memcpy((char *)(uintptr_t)((uint64_t *)call->x_table.at)[m], (const char *)linear->x.at + m * width, width);
  }
  op->linear.input.x = address_of(&call->x_table);
  op->flags |= DP_X_ROWS;
}

static void push_multiply(linear_call *call, dp_op op, dp_op_kind kind) {
  const linear_case *linear = call->linear;
  const size_t size = size_of(linear->y_type);
  const uint32_t r = call->results++;
  call->y[r] = make_output(linear->expected.bytes, random_offset(size));
  op.linear.y = address_of(&call->y[r]);
  if (call->scattered) {
    call->y_table[r] = reverse_table(&call->y[r], linear->m, linear->n * size);
    op.linear.y = address_of(&call->y_table[r]);
    op.flags |= DP_Y_ROWS;
  }
  if (r > 0) op.flags |= DP_TOGETHER;
  push_op(call, op, kind);
}

linear_call make_linear_call(const linear_case *linear) {
  const bool packs = one_in(4);
  const uint32_t results = one_in(3) ? random_between(1, CALL_RESULTS_MAX) : 1;
  linear_call call = {.linear = linear, .scattered = one_in(4)};
  call.xq = make_output(linear->m * dp_row_stride(dp_active_kernels(), linear->k), 0);
  call.x_scale = make_output(linear->m * sizeof(float), 0);
  dp_op op = {
      .m = linear->m,
      .linear =
          {
              .input =
                  {
                      .x = address_of(&linear->x),
                      .u = linear->activation == DP_ACT_NONE ? 0 : address_of(&linear->u),
                      .xq = address_of(&call.xq),
                      .x_scale = address_of(&call.x_scale),
                      .k = linear->k,
                      .x_type = linear->x_type,
                      .activation = linear->activation,
                      .outliers = linear->outliers,
                  },
              .tiles = address_of(&linear->tiles),
              .col_sum = address_of(&linear->col_sum),
              .scale = address_of(&linear->scale),
              .bias = linear->has_bias ? address_of(&linear->bias) : 0,
              .n = linear->n,
              .y_type = linear->y_type,
              .w_type = linear->w_type,
          },
  };
  if (packs) {
    call.tiles = make_output(linear->tiles.bytes, 0);
    call.col_sum = make_output(linear->col_sum.bytes, 0);
    op.linear.tiles = address_of(&call.tiles);
    op.linear.col_sum = address_of(&call.col_sum);
    const bool is_s4 = linear->w_type == DP_S4;
    const dp_pack_params pack = {
        .w = address_of(is_s4 ? &linear->nibbles : &linear->w),
        .multipliers = is_s4 ? address_of(&linear->multipliers) : 0,
        .tiles = op.linear.tiles,
        .col_sum = op.linear.col_sum,
        .n = linear->n,
        .k = linear->k,
        .w_type = linear->w_type,
    };
    push_op(&call, (dp_op){.pack = pack}, is_s4 ? DP_OP_PACK_S4 : DP_OP_PACK);
  }
  if (call.scattered) scatter_input(&call, &op);
  const dp_op_kind kind = push_quantize(&call, &op);
  for (uint32_t r = 0; r < results; r++) push_multiply(&call, op, kind);
  return call;
}

void free_linear_call(linear_call *call) {
  for (uint32_t r = 0; r < call->results; r++) {
    free_block(&call->y[r]);
    free_block(&call->y_table[r]);
  }
  free_block(&call->x_copy), free_block(&call->x_table);
  free_block(&call->xq), free_block(&call->x_scale);
  free_block(&call->tiles), free_block(&call->col_sum);
}

void check_edges(const linear_call *call, const char *where) {
  bool hold = edges_hold(&call->xq) && edges_hold(&call->x_scale);
  if (call->tiles.at != NULL) hold &= edges_hold(&call->tiles) && edges_hold(&call->col_sum);
  for (uint32_t r = 0; r < call->results; r++) hold &= edges_hold(&call->y[r]);
  check(hold, "%s: a program of M %u, N %u, K %u wrote beside its memory", where, call->linear->m, call->linear->n,
        call->linear->k);
}

static void check_result(const linear_call *call, uint32_t r, const char *where) {
  const linear_case *linear = call->linear;
  const size_t width = linear->n * size_of(linear->y_type);
  for (uint32_t m = 0; m < linear->m; m++) {
    const uint32_t row = call->scattered ? linear->m - 1 - m : m;
    const char *y = (const char *)call->y[r].at + row * width;
    const char *expected = (const char *)linear->expected.at + m * width;
    uint32_t n = 0;
    while (n < linear->n && same_element(y, expected, linear->y_type, n)) n++;
    if (!check(n == linear->n,
               "%s: M %u, N %u, K %u, weights %d, types %d to %d, activation %d, %u outliers, op %u of %u, kind %u: "
               "row %u, "
               "channel %u is wrong",
               where, linear->m, linear->n, linear->k, linear->w_type, linear->x_type, linear->y_type,
               linear->activation, linear->outliers, call->op_count - call->results + r, call->op_count,
               call->ops[call->op_count - 1].kind, m, n)) {
      return;
    }
  }
}

void check_linear_call(const linear_call *call, const char *where) {
  for (uint32_t r = 0; r < call->results; r++) check_result(call, r, where);
  check_edges(call, where);
}

bool is_untouched(const linear_call *call) {
  bool same = true;
  for (uint32_t r = 0; r < call->results; r++) {
    block fresh = make_output(call->y[r].bytes, 0);
    same &= memcmp(fresh.at, call->y[r].at, fresh.bytes) == 0;
    free_block(&fresh);
  }
  return same;
}
