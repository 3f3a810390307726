/* test_int4.c: weights of four bits: into tiles, into int8, and exact sums of their products. */
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 150 };

/* One block, and what its kernels are compared with. */
typedef struct weights {
  uint32_t channels, k;
  size_t groups;
  block nibbles, multipliers, w, tiles, col_sum;
} weights;

static weights make_weights(uint32_t channels, uint32_t k) {
  weights made = {.channels = channels, .k = k, .groups = dp_s4_groups(k)};
  made.nibbles = make_input((size_t)channels * ((k + 1) / 2), 1);
  made.multipliers = make_input(channels * made.groups, 1);
  made.w = make_input((size_t)channels * k, 1);
  made.tiles = make_input(dp_s4_block_bytes(k), 64);
  made.col_sum = make_input(DP_NR * sizeof(int32_t), 64);
  random_int4(made.nibbles.at, made.multipliers.at, channels, k);
  oracle_decode_s4(made.nibbles.at, made.multipliers.at, channels, k, made.w.at);
  oracle_pack_s4(made.nibbles.at, made.multipliers.at, channels, k, made.tiles.at, made.col_sum.at);
  return made;
}

static void free_weights(weights *made) {
  free_block(&made->nibbles), free_block(&made->multipliers), free_block(&made->w);
  free_block(&made->tiles), free_block(&made->col_sum);
}

static void test_packing(uint32_t channels, uint32_t k) {
  weights from = make_weights(channels, k);
  block tiles = make_output(from.tiles.bytes, 0), col_sum = make_output(from.col_sum.bytes, 0);
  dp_active_kernels()->pack_block_s4(from.nibbles.at, from.multipliers.at, channels, k, tiles.at, col_sum.at);
  check(memcmp(tiles.at, from.tiles.at, tiles.bytes) == 0, "pack_block_s4 of %u x %u: tiles differ", channels, k);
  check(memcmp(col_sum.at, from.col_sum.at, col_sum.bytes) == 0, "pack_block_s4 of %u x %u: colSum differs", channels, k);
  check(edges_hold(&tiles) && edges_hold(&col_sum), "pack_block_s4 of %u x %u wrote past its end", channels, k);
  free_block(&tiles), free_block(&col_sum), free_weights(&from);
}

static void test_decode(uint32_t k) {
  weights from = make_weights(DP_NR, k);
  const uint32_t first = random_between(0, DP_COLUMNS - 1), columns = random_between(1, DP_COLUMNS - first);
  block tiles = make_output(dp_block_bytes(from.groups * DP_S4_GROUP), 0), before = make_input(tiles.bytes, 64);
  block expected = make_input(dp_block_bytes(k), 64);
  int32_t sums[DP_NR];
  memcpy(before.at, tiles.at, tiles.bytes);
  oracle_pack(from.w.at, DP_NR, k, expected.at, sums);
  dp_active_kernels()->decode_s4(from.tiles.at, from.groups, first, columns, tiles.at);
  bool same = true;
  for (size_t i = 0; i < tiles.bytes; i++) {
    const size_t column = i % DP_QUAD_BYTES / (DP_COLUMN * DP_KR);
    const int8_t decoded = i < expected.bytes ? ((int8_t *)expected.at)[i] : 0;
    const bool wanted = column >= first && column < first + columns;
    same &= ((int8_t *)tiles.at)[i] == (wanted ? decoded : ((int8_t *)before.at)[i]);
  }
  check(same, "decode_s4 K %u, columns %u to %u: tiles differ", k, first, first + columns);
  check(edges_hold(&tiles), "decode_s4 K %u wrote past its end", k);
  free_block(&tiles), free_block(&before), free_block(&expected), free_weights(&from);
}

/* Rows of activations: any, or all extreme. */
static block random_rows(uint32_t rows, uint32_t k) {
  block x = make_input((size_t)rows * k, 1);
  random_bytes(x.at, x.bytes);
  make_symmetric(x.at, x.bytes);
  if (one_in(8)) memset(x.at, one_in(2) ? 127 : -127, x.bytes);
  return x;
}

static void load_rows(const block *x, uint32_t rows, uint32_t k, size_t stride, const block *xq) {
  for (uint32_t m = 0; m < rows; m++) {
    dp_active_kernels()->load_row_s8((int8_t *)x->at + (size_t)m * k, k, (char *)xq->at + m * stride);
  }
}

static void test_row(uint32_t k) {
  const dp_kernels *kernels = dp_active_kernels();
  const uint32_t first = random_between(0, DP_COLUMNS - 1), columns = random_between(1, DP_COLUMNS - first);
  weights from = make_weights(DP_NR, k);
  block x = random_rows(1, k), xq = make_output(dp_row_stride(kernels, k), 0);
  block acc = make_output(columns * DP_COLUMN * sizeof(int32_t), 0);
  load_rows(&x, 1, k, xq.bytes, &xq);
  kernels->s4->gemv(xq.at, from.tiles.at, from.groups, first, columns, acc.at);
  for (uint32_t c = 0; c < columns * DP_COLUMN; c++) {
    const int32_t expected = oracle_dot(x.at, (int8_t *)from.w.at + (size_t)(first * DP_COLUMN + c) * k, k);
    const int32_t got = ((int32_t *)acc.at)[c];
    check(got == expected, "gemv of four bits K %u, channel %u of %u: %d, not %d", k, c, columns * DP_COLUMN, got,
          expected);
  }
  check(edges_hold(&acc), "gemv of four bits K %u, %u columns wrote past its end", k, columns);
  free_block(&x), free_block(&xq), free_block(&acc), free_weights(&from);
}

static void test_rows(uint32_t rows, uint32_t k) {
  const dp_kernels *kernels = dp_active_kernels();
  const size_t stride = dp_row_stride(kernels, k) + 64 * random_between(0, 2);
  weights from = make_weights(DP_NR, k);
  block x = random_rows(rows, k), xq = make_output(rows * stride, 0);
  block acc = make_output((size_t)rows * DP_NR * sizeof(int32_t), 0);
  load_rows(&x, rows, k, stride, &xq);
  kernels->s4->gemm(xq.at, stride, rows, from.tiles.at, from.groups, acc.at);
  for (uint32_t m = 0; m < rows; m++) {
    for (uint32_t c = 0; c < DP_NR; c++) {
      const int32_t expected = oracle_dot((int8_t *)x.at + (size_t)m * k, (int8_t *)from.w.at + (size_t)c * k, k);
      const int32_t got = ((int32_t *)acc.at)[m * DP_NR + c];
      check(got == expected, "gemm of four bits, K %u, row %u of %u, channel %u: %d, not %d", k, m, rows, c, got,
            expected);
    }
  }
  check(edges_hold(&acc), "gemm of four bits, K %u, %u rows wrote past its end", k, rows);
  free_block(&x), free_block(&xq), free_block(&acc), free_weights(&from);
}

static void test_add_outliers(uint32_t k) {
  const uint32_t first = random_between(0, DP_COLUMNS - 1), columns = random_between(1, DP_COLUMNS - first);
  weights from = make_weights(DP_NR, k);
  block before = make_input(columns * DP_COLUMN * sizeof(int32_t), 64), acc = make_output(before.bytes, 0);
  random_bytes(before.at, before.bytes);
  memcpy(acc.at, before.at, acc.bytes);
  dp_outliers outliers = {.count = (uint16_t)random_between(0, DP_MAX_OUTLIERS)};
  outliers.negative = (uint16_t)random_between(0, outliers.count);
  for (uint32_t i = 0; i < outliers.count; i++) {
    const uint32_t at = random_between(0, k - 1);
    outliers.at[i] = (dp_outlier){.k = at, .magnitude = random_between(1, 127) << at % DP_KR * 8};
  }
  dp_active_kernels()->add_outliers_s4(&outliers, from.tiles.at, first, columns, acc.at);
  for (uint32_t c = 0; c < columns * DP_COLUMN; c++) {
    uint32_t sum = ((uint32_t *)before.at)[c];
    for (uint32_t i = 0; i < outliers.count; i++) {
      const int8_t weight = ((int8_t *)from.w.at)[(size_t)(first * DP_COLUMN + c) * k + outliers.at[i].k];
      sum += (uint32_t)(128 * dp_outlier_high(&outliers, i) * weight);
    }
    check(((uint32_t *)acc.at)[c] == sum, "outliers of four bits K %u: sum %u is wrong", k, c);
  }
  check(edges_hold(&acc), "outliers of four bits K %u wrote beside the sums", k);
  free_block(&before), free_block(&acc), free_weights(&from);
}

void test_int4(void) {
  const dp_s4_kernels *s4 = dp_active_kernels()->s4;
  for (int i = 0; i < CASES; i++) {
    test_packing(random_between(1, DP_NR), random_between(1, 300));
    test_decode(random_between(1, 300));
    test_add_outliers(random_between(1, 300));
    if (s4->gemv != NULL) test_row(random_between(1, 700));
    if (s4->gemm != NULL) test_rows(random_between(1, s4->mr), random_between(1, 700));
  }
  if (s4->gemv != NULL) test_row(DP_MAX_K);
  if (s4->gemm != NULL) {
    for (uint32_t rows = 1; rows <= s4->mr; rows++) test_rows(rows, 4 * rows + 1);
    test_rows(s4->mr, 4099);
  }
  report("int4 %s", dp_isa());
}
