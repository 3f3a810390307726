/*
 * test_outliers.c: which elements of a row are outliers, what remains of them in the row, and what they add to the sums
 * of a block. test_ops.c tests whole Linears with outliers.
 */
#include <math.h>
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 600 };

static void enlarge(float *values, uint32_t k) {
  for (uint32_t i = random_between(0, 20); i > 0; i--) {
    values[random_between(0, k - 1)] *= (float)random_between(1, 300);
  }
}

/* q of a row is its low parts, stored in xq, plus 128 times the high parts of the outliers. */
static void test_split(uint32_t k, uint32_t most) {
  const dp_kernels *kernels = dp_active_kernels();
  block x = make_output(k * sizeof(float), random_offset(4)), q = make_input(k * sizeof(int32_t), 4);
  block low = make_input(k, 1), xq = make_output(dp_row_stride(kernels, k), 0);
  block expected = make_output(dp_row_stride(kernels, k), 0);
  random_floats(x.at, k);
  if (one_in(2)) enlarge(x.at, k);
  if (one_in(6)) spoil(x.at, k);
  const float scale = oracle_quantize_row_with(x.at, DP_F32, k, most, q.at);
  int32_t *left = q.at;
  uint32_t wanted = 0;
  for (uint32_t i = 0; i < k; i++) wanted += left[i] > 127 || left[i] < -127;

  dp_outliers outliers;
  const float least = kernels->split_outliers(x.at, k, most, &outliers);
  const float got = kernels->quantize_row_f32(x.at, k, least, xq.at);
  check(same_float(got, scale), "outliers K %u, %u: scale %a, not %a", k, most, (double)got, (double)scale);
  check(outliers.count <= most && outliers.count >= wanted, "outliers K %u, %u: %u of them, not %u", k, most,
        outliers.count, wanted);
  for (uint32_t i = 0; i < outliers.count; i++) {
    left[outliers.at[i].k] -= 128 * dp_outlier_high(&outliers, i);
  }
  bool fits = true;
  for (uint32_t i = 0; i < k; i++) {
    fits &= left[i] >= -127 && left[i] <= 127;
    ((int8_t *)low.at)[i] = (int8_t)left[i];
  }
  kernels->load_row_s8(low.at, k, expected.at);
  check(fits && memcmp(xq.at, expected.at, xq.bytes) == 0, "outliers K %u, %u: low parts differ", k, most);
  check(edges_hold(&x) && edges_hold(&xq), "outliers K %u, %u wrote beside the row", k, most);
  free_block(&x), free_block(&q), free_block(&low), free_block(&xq), free_block(&expected);
}

static void test_add(uint32_t k) {
  const uint32_t first = random_between(0, DP_COLUMNS - 1), columns = random_between(1, DP_COLUMNS - first);
  const uint32_t n = columns * DP_COLUMN;
  block w = make_input((size_t)DP_NR * k, 1), tiles = make_input(dp_block_bytes(k), 64);
  block col_sum = make_input(DP_NR * sizeof(int32_t), 64), before = make_input(n * sizeof(int32_t), 64);
  block acc = make_output(n * sizeof(int32_t), 0);
  random_bytes(w.at, w.bytes);
  random_bytes(before.at, before.bytes);
  memcpy(acc.at, before.at, acc.bytes);
  oracle_pack(w.at, DP_NR, k, tiles.at, col_sum.at);
  dp_outliers outliers = {.count = (uint16_t)random_between(0, DP_MAX_OUTLIERS)};
  outliers.negative = (uint16_t)random_between(0, outliers.count);
  for (uint32_t i = 0; i < outliers.count; i++) {
    const uint32_t at = random_between(0, k - 1);
    outliers.at[i] = (dp_outlier){.k = at, .magnitude = random_between(1, 127) << at % DP_KR * 8};
  }
  dp_active_kernels()->add_outliers(&outliers, (int8_t *)tiles.at + first * DP_COLUMN * DP_KR, columns, acc.at);
  for (uint32_t c = 0; c < n; c++) {
    uint32_t sum = ((uint32_t *)before.at)[c];
    for (uint32_t i = 0; i < outliers.count; i++) {
      const int8_t weight = ((int8_t *)w.at)[(first * DP_COLUMN + c) * (size_t)k + outliers.at[i].k];
      sum += (uint32_t)(128 * dp_outlier_high(&outliers, i) * weight);
    }
    check(((uint32_t *)acc.at)[c] == sum, "outliers K %u: sum %u of %u is wrong", k, c, n);
  }
  check(edges_hold(&acc), "outliers K %u wrote beside the sums", k);
  free_block(&w), free_block(&tiles), free_block(&col_sum), free_block(&before), free_block(&acc);
}

void test_outliers(void) {
  for (int i = 0; i < CASES; i++) {
    test_split(random_between(1, 400), random_between(1, DP_MAX_OUTLIERS));
    test_add(random_between(1, 40));
  }
  test_split(DP_MAX_K, 8);
  report("outliers %s", dp_isa());
}
