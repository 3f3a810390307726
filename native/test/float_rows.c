#include "float_rows.h"

#include <string.h>

#include "../src/tiles.h"
#include "oracle.h"

float_rows make_float_rows(uint32_t n, uint32_t k, uint32_t bad_one_in) {
  float_rows rows = {.type = one_in(2) ? DP_F32 : DP_BF16, .stride = dp_dense_stride(k)};
  rows.memory = make_input(n * rows.stride * (rows.type == DP_BF16 ? 2 : 4), 64);
  memset(rows.memory.at, 0, rows.memory.bytes);
  block values = make_input(k * sizeof(float), 4);
  for (uint32_t i = 0; i < n; i++) {
    random_floats(values.at, k);
    if (one_in(bad_one_in)) spoil(values.at, k);
    for (uint32_t j = 0; j < k; j++) {
      oracle_store(rows.memory.at, rows.type, i * rows.stride + j, ((float *)values.at)[j]);
    }
  }
  free_block(&values);
  return rows;
}

float float_rows_at(const float_rows *rows, size_t n, size_t k) {
  return oracle_load(rows->memory.at, rows->type, n * rows->stride + k);
}
