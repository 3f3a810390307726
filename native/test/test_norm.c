/* test_norm.c: the residual add and the norm, as floats and quantised. */
#include <math.h>
#include <string.h>

#include "../src/kernel_table.h"
#include "arena.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 120 };

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static block random_rows(uint32_t rows, uint32_t k, bool may_spoil) {
  block values = make_input((size_t)rows * k * sizeof(float), 4);
  for (uint32_t r = 0; r < rows; r++) {
    float *row = (float *)values.at + (size_t)r * k;
    random_floats(row, k);
    if (may_spoil && one_in(10)) spoil(row, k);
  }
  return values;
}

/* x += u; y = (x * t) * w, t = 1 / sqrt(sum16(x * x) / K + eps) */
static void norm_row(float *x, const float *u, const float *w, uint32_t k, float eps, float *y) {
  for (uint32_t i = 0; i < k; i++) {
    if (u != NULL) x[i] = x[i] + u[i];
    y[i] = x[i] * x[i];
  }
  const float mean = oracle_sum16(y, k) / (float)k;
  const float t = 1.0f / sqrtf(mean + eps);
  for (uint32_t i = 0; i < k; i++) {
    const float scaled = x[i] * t;
    y[i] = scaled * w[i];
  }
}

/* `total` rows of x and u, of which the op takes m, all in order or those of an index. */
static void test_case(uint32_t total, uint32_t k) {
  const dp_kernels *kernels = dp_active_kernels();
  const size_t bytes = k * sizeof(float), stride = dp_row_stride(kernels, k);
  const uint32_t m = one_in(3) ? total : random_between(1, total);
  const bool adds = one_in(2), floats = one_in(2), quantizes = !floats || one_in(3);
  const uint32_t outliers = one_in(2) ? random_between(1, DP_MAX_OUTLIERS) : 0;
  const float eps = one_in(2) ? 1e-6f : 1e-5f;
  arena arena = make_arena(random_between(1, 4));
  block x = make_output(total * bytes, random_offset(4)), source = random_rows(total, k, true);
  block expected_x = make_input(total * bytes, 4), expected = make_input(m * bytes, 4);
  block u = random_rows(total, k, false), w = random_rows(1, k, false), index = make_input(m * 4, 4);
  block y = make_output(m * bytes, random_offset(4)), untouched = make_output(bytes, 0);
  block xq = make_output(m * stride, 0), x_scale = make_output(m * 4, 0);
  memcpy(x.at, source.at, x.bytes);
  memcpy(expected_x.at, source.at, x.bytes);
  /* the last m rows, from the end: each once */
  uint32_t *row = index.at;
  for (uint32_t i = 0; i < m; i++) row[i] = total - 1 - i;
  const bool picks = m < total || one_in(2);
  for (uint32_t i = 0; i < m; i++) {
    const size_t at = (size_t)(picks ? row[i] : i) * k;
    norm_row((float *)expected_x.at + at, adds ? (float *)u.at + at : NULL, w.at, k, eps,
             (float *)expected.at + (size_t)i * k);
  }
  const dp_op op = {
      .kind = DP_OP_NORM,
      .m = m,
      .norm =
          {
              .x = address_of(&x),
              .u = adds ? address_of(&u) : 0,
              .rows = picks ? address_of(&index) : 0,
              .scale = address_of(&w),
              .y = floats ? address_of(&y) : 0,
              .xq = quantizes ? address_of(&xq) : 0,
              .x_scale = quantizes ? address_of(&x_scale) : 0,
              .n = total,
              .k = k,
              .outliers = outliers,
              .eps = eps,
          },
  };
  /* some may be out of range: the op skips them */
  bool faulty = false, named = false;
  if (picks && one_in(3)) {
    for (uint32_t i = 0; i < m; i++) {
      if (!one_in(3)) continue;
      memcpy((float *)expected_x.at + (size_t)row[i] * k, (float *)source.at + (size_t)row[i] * k, bytes);
      row[i] = random_past(total);
    }
  }
  const uint32_t fault = atomic_load(&slot_at(&arena, run_alone(&arena, &op, 1))->fault);
  for (uint32_t i = 0; i < m; i++) {
    if (!picks || row[i] < total) continue;
    faulty = true;
    named |= fault == (DP_BAD_ROW | i);
    memcpy((float *)expected.at + (size_t)i * k, untouched.at, bytes);
  }
  check(faulty ? named : fault == 0, "norm M %u of %u: fault %x", m, total, fault);
  check(same_floats(x.at, expected_x.at, (size_t)total * k), "norm M %u, K %u: x differs", m, k);
  check(!floats || same_floats(y.at, expected.at, (size_t)m * k), "norm M %u, K %u: y differs", m, k);
  /* only the kernels know how a quantised row is stored */
  for (uint32_t i = 0; quantizes && i < m; i++) {
    if (picks && row[i] >= total) continue;
    block wanted = make_output(stride, 0);
    float *row = (float *)expected.at + (size_t)i * k, least = 1e-8f;
    dp_outliers *list = dp_row_outliers(kernels, wanted.at, k);
    if (outliers > 0) least = kernels->split_outliers(row, k, outliers, list);
    const float scale = kernels->quantize_row_f32(row, k, least, wanted.at);
    if (outliers > 0 && kernels->gemm->widen_outliers != NULL) kernels->gemm->widen_outliers(list, k, wanted.at);
    check(same_float(((float *)x_scale.at)[i], scale), "norm M %u, K %u: scale %u differs", m, k, i);
    check(memcmp((char *)xq.at + i * stride, wanted.at, stride) == 0, "norm M %u, K %u: quantised row %u differs", m, k,
          i);
    free_block(&wanted);
  }
  check(edges_hold(&x) && edges_hold(&y) && edges_hold(&xq) && edges_hold(&x_scale),
        "norm M %u, K %u wrote beside its memory", m, k);
  free_block(&x), free_block(&source), free_block(&expected_x), free_block(&expected), free_block(&u);
  free_block(&w), free_block(&index), free_block(&y), free_block(&untouched), free_block(&xq), free_block(&x_scale);
  free_arena(&arena);
}

void norm_case(void) { test_case(random_extent(20), random_extent(130)); }

void test_norm(void) {
  for (int i = 0; i < CASES; i++) norm_case();
  report("norm %s", dp_isa());
}
