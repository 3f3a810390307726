#include "linear_case.h"

#include <math.h>
#include <string.h>

#include "../src/layout.h"
#include "oracle.h"

static size_t size_of(dp_type type) { return type == DP_BF16 ? 2 : type == DP_S8 ? 1 : 4; }

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static linear_case make_weights(uint32_t m, uint32_t n, uint32_t k) {
  const size_t padded = dp_blocks(n) * DP_NR;
  linear_case linear = {.m = m, .n = n, .k = k, .has_bias = one_in(2)};
  linear.w = make_input((size_t)n * k, random_offset(1));
  linear.tiles = make_input(dp_blocks(n) * dp_block_bytes(k), 0);
  linear.col_sum = make_input(padded * sizeof(int32_t), 0);
  linear.scale = make_input(padded * sizeof(float), 0);
  linear.bias = make_input(padded * sizeof(float), 0);
  random_bytes(linear.w.at, linear.w.bytes);
  oracle_pack(linear.w.at, n, k, linear.tiles.at, linear.col_sum.at);
  random_floats(linear.scale.at, padded);
  random_floats(linear.bias.at, padded);
  return linear;
}

static void expect_row(const linear_case *linear, uint32_t m) {
  const uint32_t n_count = linear->n, k = linear->k;
  const char *x = (const char *)linear->x.at + (size_t)m * k * size_of(linear->x_type);
  block q = make_input(k, 0);
  float x_scale = 0;
  if (linear->x_type == DP_S8) {
    memcpy(q.at, x, k);
  } else {
    x_scale = oracle_quantize_row(x, linear->x_type, k, q.at);
  }
  for (uint32_t n = 0; n < n_count; n++) {
    const int32_t acc = oracle_dot(q.at, (int8_t *)linear->w.at + (size_t)n * k, k);
    const size_t at = (size_t)m * n_count + n;
    if (linear->y_type == DP_S32) {
      memcpy((int32_t *)linear->expected.at + at, &acc, sizeof acc);
    } else {
      const float *bias = linear->has_bias ? (const float *)linear->bias.at + n : NULL;
      const float y = oracle_dequantize(acc, x_scale, ((float *)linear->scale.at)[n], bias);
      oracle_store(linear->expected.at, linear->y_type, at, y);
    }
  }
  free_block(&q);
}

static void expect(linear_case *linear) {
  linear->expected = make_input((size_t)linear->m * linear->n * size_of(linear->y_type), 0);
  for (uint32_t m = 0; m < linear->m; m++) expect_row(linear, m);
}

linear_case make_linear_case(uint32_t m, uint32_t n, uint32_t k) {
  linear_case linear = make_weights(m, n, k);
  linear.x_type = one_in(2) ? DP_F32 : DP_BF16;
  linear.y_type = one_in(2) ? DP_F32 : DP_BF16;
  const size_t size = size_of(linear.x_type), count = (size_t)m * k;
  block values = make_input(k * sizeof(float), 0);
  linear.x = make_input(count * size, random_offset(size));
  for (uint32_t row = 0; row < m; row++) {
    random_floats(values.at, k);
    if (one_in(10)) spoil(values.at, k);
    for (uint32_t i = 0; i < k; i++) {
      oracle_store(linear.x.at, linear.x_type, (size_t)row * k + i, ((float *)values.at)[i]);
    }
  }
  free_block(&values);
  expect(&linear);
  return linear;
}

linear_case make_integer_case(uint32_t m, uint32_t n, uint32_t k) {
  linear_case linear = make_weights(m, n, k);
  linear.x_type = DP_S8;
  linear.y_type = DP_S32;
  linear.x = make_input((size_t)m * k, random_offset(1));
  random_bytes(linear.x.at, linear.x.bytes);
  expect(&linear);
  return linear;
}

void free_linear_case(linear_case *linear) {
  free_block(&linear->w), free_block(&linear->tiles), free_block(&linear->col_sum);
  free_block(&linear->scale), free_block(&linear->bias);
  free_block(&linear->x), free_block(&linear->expected);
}

linear_call make_linear_call(const linear_case *linear) {
  const size_t stride = dp_row_stride(linear->k), y_size = size_of(linear->y_type);
  const bool packs = one_in(4);
  linear_call call = {.linear = linear};
  call.y = make_output(linear->expected.bytes, random_offset(y_size));
  call.xq = make_output(linear->m * stride, 0);
  call.x_scale = make_output(linear->m * sizeof(float), 0);
  if (packs) {
    call.tiles = make_output(linear->tiles.bytes, 0);
    call.col_sum = make_output(linear->col_sum.bytes, 0);
  }
  dp_op op = {
      .x_type = linear->x_type,
      .y_type = linear->y_type,
      .m = linear->m,
      .n = linear->n,
      .k = linear->k,
      .x = address_of(&linear->x),
      .y = address_of(&call.y),
      .tiles = address_of(packs ? &call.tiles : &linear->tiles),
      .col_sum = address_of(packs ? &call.col_sum : &linear->col_sum),
      .scale = address_of(&linear->scale),
      .bias = linear->has_bias ? address_of(&linear->bias) : 0,
      .xq = address_of(&call.xq),
      .x_scale = address_of(&call.x_scale),
  };
  if (packs) {
    dp_op pack = op;
    pack.kind = DP_OP_PACK;
    pack.x = address_of(&linear->w);
    call.ops[call.op_count++] = pack;
  }
  if (linear->m == 1 && linear->x_type != DP_S8 && !one_in(4)) {
    op.kind = DP_OP_GEMV;
  } else {
    op.kind = DP_OP_QUANTIZE;
    call.ops[call.op_count++] = op;
    op.kind = DP_OP_GEMM;
  }
  call.ops[call.op_count++] = op;
  return call;
}

void free_linear_call(linear_call *call) {
  free_block(&call->y), free_block(&call->xq), free_block(&call->x_scale);
  free_block(&call->tiles), free_block(&call->col_sum);
}

void check_edges(const linear_call *call, const char *where) {
  const bool packs = call->tiles.raw != NULL;
  const bool hold = edges_hold(&call->y) && edges_hold(&call->xq) && edges_hold(&call->x_scale) &&
                    (!packs || (edges_hold(&call->tiles) && edges_hold(&call->col_sum)));
  check(hold, "%s: a program of M %u, N %u, K %u wrote beside its memory", where, call->linear->m,
        call->linear->n, call->linear->k);
}

void check_linear_call(const linear_call *call, const char *where) {
  const linear_case *linear = call->linear;
  const size_t count = (size_t)linear->m * linear->n;
  size_t i = 0;
  while (i < count && same_element(call->y.at, linear->expected.at, linear->y_type, i)) i++;
  check(i == count, "%s: M %u, N %u, K %u, types %d to %d, %u ops: row %zu, channel %zu is wrong", where,
        linear->m, linear->n, linear->k, linear->x_type, linear->y_type, call->op_count,
        i / linear->n, i % linear->n);
  check_edges(call, where);
}

bool is_untouched(const linear_call *call) {
  block fresh = make_output(call->y.bytes, 0);
  const bool same = memcmp(fresh.at, call->y.at, fresh.bytes) == 0;
  free_block(&fresh);
  return same;
}
