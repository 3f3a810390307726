/*
 * attention.c: out = softmax(q . keys) . values, a page at a time, and what pages give put together.
 *
 *   s[j] = sum_d q[d] * key[j][d], maximum = max_j s[j], p[j] = e^(s[j] - maximum),
 *   sum = sum_j p[j], values[d] = sum_j p[j] * value[j][d]
 *
 * These are a page's part; parts of two pages add up once both are brought to the same maximum
 * (https://arxiv.org/abs/1805.02867).
 */
#include <stdbool.h>

#include "../../kernel_table.h"
#include "exp.h"
#include "multiply.h"
#include "per_isa.h"
#include "sum16.h"

static inline float larger(float a, float b) { return a > b ? a : b; }

static inline bool is_whole(uint32_t first, uint32_t last) { return first == 0 && last == DP_PAGE; }

/* The largest of sixteen, half by half. */
static float maximum_of_lanes(float *most) {
  for (int l = 0; l < 8; l++) most[l] = larger(most[l], most[l + 8]);
  for (int l = 0; l < 4; l++) most[l] = larger(most[l], most[l + 4]);
  return larger(larger(most[0], most[1]), larger(most[2], most[3]));
}

/* max_j s[j] over those seen, [first, last) */
static float maximum_of(const float *s, uint32_t first, uint32_t last) {
  float seen[DP_PAGE], most[DP_LANES];
  if (!is_whole(first, last)) {
    for (uint32_t j = 0; j < DP_PAGE; j++) seen[j] = j - first < last - first ? s[j] : -__builtin_inff();
    s = seen;
  }
  for (int l = 0; l < DP_LANES; l++) {
    most[l] = larger(larger(s[l], s[l + 16]), larger(s[l + 32], s[l + 48]));
  }
  return maximum_of_lanes(most);
}

/* s[j] = e^(s[j] - maximum) for those seen, 0 for others; returns their sum. */
static float exponentiate(float *s, uint32_t first, uint32_t last, float maximum) {
  for (uint32_t j = 0; j < DP_PAGE; j++) s[j] = dp_exp(s[j] - maximum);
  if (!is_whole(first, last)) {
    for (uint32_t j = 0; j < DP_PAGE; j++) s[j] = j - first < last - first ? s[j] : 0;
  }
  dp_floats sums[DP_PARTS] = {{0}};
  for (uint32_t j = 0; j < DP_PAGE; j += DP_LANES) {
    for (int p = 0; p < DP_PARTS; p++) sums[p] += dp_floats_f32(s, j + p * DP_PART_LANES);
  }
  return dp_sum_lanes(sums);
}

/* scores[query][j] = q . key[j], for all positions in the groups of [first, last). */
static void multiply_keys(const dp_page_queries *queries, dp_kv_head head, uint32_t first, uint32_t last) {
  const size_t size = dp_type_bytes(head.type), D = head.head_dim;
  const uint32_t from = first / DP_PAGE_GROUP, to = (last + DP_PAGE_GROUP - 1) / DP_PAGE_GROUP;
  const size_t group_bytes = D * DP_PAGE_GROUP * size;
  const dp_product product = {
      .rows = queries->rows * queries->group,
      .groups = to - from,
      .first = 0,
      .last = D,
      .a = queries->q,
      .a_stride = D,
      .b = dp_kv_keys(head) + from * group_bytes,
      .b_bundle = DP_PAGE_GROUP * dp_kv_packed(head.type) * size,
      .b_group = group_bytes,
      .sums = queries->scores + from * DP_PAGE_GROUP,
      .sums_stride = DP_PAGE,
      .ahead = queries->ahead,
  };
  for (uint32_t r = 0; r < product.rows; r++) {
    memset(product.sums + r * DP_PAGE, 0, product.groups * DP_PAGE_GROUP * sizeof(float));
  }
  dp_multiply(&product, head.type);
}

/* values[query] += sum of weight[j] * value[j] over j in [first, last), for some of the rows. */
static void multiply_values(const dp_page_queries *queries, dp_kv_head head, uint32_t row, uint32_t rows,
                            uint32_t first, uint32_t last) {
  if (first >= last) return;
  const size_t cell = dp_type_bytes(head.type) * dp_kv_packed(head.type);
  const size_t D = head.head_dim, whole = D / DP_LANES;
  const uint32_t query = row * queries->group;
  dp_product product = {
      .rows = rows * queries->group,
      .groups = whole,
      .first = first,
      .last = last,
      .a = queries->scores + query * DP_PAGE,
      .a_stride = DP_PAGE,
      .b = dp_kv_values(head),
      .b_bundle = D * cell,
      .b_group = DP_LANES * cell,
      .sums = queries->parts + query * queries->part_stride + DP_PART_VALUES,
      .sums_stride = queries->part_stride,
      .ahead = queries->ahead + dp_kv_half_bytes(head.type, head.head_dim),
  };
  dp_multiply(&product, head.type);
  if (D % DP_LANES == 0) return;
  product.b += whole * product.b_group;
  product.sums += whole * DP_LANES;
  dp_multiply_columns(&product, head.type, D % DP_LANES);
}

void DP_PER_ISA(dp_attend_page)(const dp_page_queries *queries, dp_kv_head head) {
  const uint32_t rows = queries->rows;
  /* what some row sees, and what all do */
  uint32_t first = DP_PAGE, last = 0, common_first = 0, common_last = DP_PAGE;
  for (uint32_t r = 0; r < rows; r++) {
    const uint32_t from = queries->first[r], to = queries->last[r];
    first = from < first ? from : first;
    last = to > last ? to : last;
    common_first = from > common_first ? from : common_first;
    common_last = to < common_last ? to : common_last;
  }
  multiply_keys(queries, head, first, last);
  for (uint32_t i = 0; i < rows * queries->group; i++) {
    const uint32_t from = queries->first[i / queries->group], to = queries->last[i / queries->group];
    float *s = queries->scores + i * DP_PAGE, *part = queries->parts + i * queries->part_stride;
    if (head.type == DP_S8) {
      for (uint32_t j = 0; j < DP_PAGE; j++) s[j] *= dp_kv_key_scales(head)[j];
    }
    part[DP_PART_MAXIMUM] = maximum_of(s, from, to);
    part[DP_PART_SUM] = exponentiate(s, from, to, part[DP_PART_MAXIMUM]);
    if (head.type == DP_S8) {
      for (uint32_t j = 0; j < DP_PAGE; j++) s[j] *= dp_kv_value_scales(head)[j];
    }
    memset(part + DP_PART_VALUES, 0, head.head_dim * sizeof(float));
  }
  /* values of positions that a row does not see may be anything, and must not even be multiplied by 0 */
  if (common_first > common_last) common_first = common_last = DP_PAGE;
  for (uint32_t r = 0; r < rows; r++) {
    const uint32_t to = queries->last[r] < common_first ? queries->last[r] : common_first;
    multiply_values(queries, head, r, 1, queries->first[r], to);
  }
  multiply_values(queries, head, 0, rows, common_first, common_last);
  for (uint32_t r = 0; r < rows; r++) {
    const uint32_t from = queries->first[r] > common_last ? queries->first[r] : common_last;
    multiply_values(queries, head, r, 1, from, queries->last[r]);
  }
}

void DP_PER_ISA(dp_merge_part)(float *total, const float *part, uint32_t head_dim) {
  const float before = total[DP_PART_MAXIMUM], added = part[DP_PART_MAXIMUM];
  const float maximum = added > before ? added : before;
  const float a = dp_exp(before - maximum), b = dp_exp(added - maximum);
  total[DP_PART_MAXIMUM] = maximum;
  total[DP_PART_SUM] = total[DP_PART_SUM] * a + part[DP_PART_SUM] * b;
  for (uint32_t d = DP_PART_VALUES; d < DP_PART_VALUES + head_dim; d++) total[d] = total[d] * a + part[d] * b;
}

void DP_PER_ISA(dp_normalize_part)(const float *total, uint32_t head_dim, float *out) {
  const float inverse = 1.0f / total[DP_PART_SUM];
  for (uint32_t d = 0; d < head_dim; d++) out[d] = total[DP_PART_VALUES + d] * inverse;
}
