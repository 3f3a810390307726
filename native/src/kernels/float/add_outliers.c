/*
 * add_outliers.c: acc[n] += 128 * sum_i high[i] * w[n, k[i]], what outliers have beyond a byte: see split_outliers.c.
 * Channels side by side, a register of them at a time; up to MOST_SUMS registers of sums, that they stay in them.
 */
#include "../../kernel_table.h"
#include "../../registers.h"
#include "multipliers.h"
#include "per_isa.h"

typedef dp_lanes lanes;
enum {
  MOST_SUMS = 8,
  COLUMN = DP_COLUMN_REGISTERS,
  MOST_COLUMNS = MOST_SUMS / COLUMN < DP_COLUMNS ? MOST_SUMS / COLUMN : DP_COLUMNS,
};

/* acc += 128 * sum, of `count` registers; sums may wrap on the way, which signed numbers must not. */
DP_INLINE void add_sums(int32_t *acc, uint32_t count, const lanes *sum) {
  for (uint32_t v = 0; v < count; v++) ((dp_words *)(void *)acc)[v] += (dp_words)(sum[v] * DP_HIGH);
}

/* ---- weights of eight bits --------------------------------------------------------------------------------------- */

/* sum[n] + |high| * w[n, k]; quads: where w[n, k] is one of the four bytes of lane n. */
static inline lanes add_product(lanes sum, dp_outlier outlier, lanes quads) {
#if defined(__AVX512VNNI__)
  return (lanes)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32((int32_t)outlier.magnitude), (__m512i)quads);
#elif defined(__AVX2__)
  /* nothing saturates: of the two products that are added one is zero */
  const __m256i products = _mm256_maddubs_epi16(_mm256_set1_epi32((int32_t)outlier.magnitude), (__m256i)quads);
  return sum + (lanes)_mm256_madd_epi16(products, _mm256_set1_epi16(1));
#else
  /* the byte is brought up, then down with its sign */
  const int at = outlier.k % DP_KR * 8;
  return sum + (quads << (24 - at) >> 24) * (int32_t)(outlier.magnitude >> at);
#endif
}

/* How many are negative no CPU could predict, so there is one loop: -w = ~w + 1, and the ones are summed beside. */
DP_INLINE void add_columns(const dp_outliers *outliers, const int8_t *w, const uint32_t columns, int32_t *acc) {
  lanes sum[MOST_SUMS] = {{0}}, ones = {0};
  for (uint32_t i = 0; i < outliers->count; i++) {
    const lanes *quads = (const void *)(w + outliers->at[i].k / DP_KR * DP_QUAD_BYTES);
    const lanes flipped = (lanes){0} - (i < outliers->negative);
    ones = add_product(ones, outliers->at[i], flipped);
    for (uint32_t v = 0; v < columns * COLUMN; v++) {
      sum[v] = add_product(sum[v], outliers->at[i], quads[v] ^ flipped);
    }
  }
  for (uint32_t v = 0; v < columns * COLUMN; v++) sum[v] -= ones;
  add_sums(acc, columns * COLUMN, sum);
}

void DP_PER_ISA(dp_add_outliers)(const dp_outliers *outliers, const int8_t *w, uint32_t columns, int32_t *acc) {
  uint32_t c = 0;
  for (; c + MOST_COLUMNS <= columns; c += MOST_COLUMNS) {
    add_columns(outliers, w + c * DP_COLUMN * DP_KR, MOST_COLUMNS, acc + c * DP_COLUMN);
  }
  for (; c < columns; c++) add_columns(outliers, w + c * DP_COLUMN * DP_KR, 1, acc + c * DP_COLUMN);
}

/* ---- weights of four bits ---------------------------------------------------------------------------------------- */

/* Nibbles at bit `at` of every lane. x86 shifts faster by a vector than by a number that it has to get first. */
static inline lanes nibbles_at(lanes quads, int at) {
#if defined(__AVX512F__)
  return (lanes)_mm512_srlv_epi32((__m512i)quads, _mm512_set1_epi32(at)) & 15;
#elif defined(__AVX2__)
  return (lanes)_mm256_srlv_epi32((__m256i)quads, _mm256_set1_epi32(at)) & 15;
#else
  return quads >> at & 15;
#endif
}

/* sum + high * (u - 8) * m. All factors fit words, and so does the product of two: x86 multiplies words faster. */
static inline lanes add_product_s4(lanes sum, int32_t high, lanes u, lanes m) {
#if defined(__AVX512VNNI__)
  const __m512i start = _mm512_set1_epi32(-DP_S4_OFFSET * high);
  const __m512i product = _mm512_dpbusd_epi32(start, (__m512i)u, _mm512_set1_epi32(high & 0xff));
  return (lanes)_mm512_dpwssd_epi32((__m512i)sum, product, (__m512i)(m & 0xffff));
#elif defined(__AVX2__)
  const __m256i product = _mm256_madd_epi16((__m256i)(u - DP_S4_OFFSET), _mm256_set1_epi32(high & 0xffff));
  return sum + (lanes)_mm256_madd_epi16(product, (__m256i)(m & 0xffff));
#else
  return sum + (u - DP_S4_OFFSET) * high * m;
#endif
}

/* Columns first .. first + columns - 1 of the block w. */
DP_INLINE void add_columns_s4(const dp_outliers *outliers, const uint8_t *w, uint32_t first, const uint32_t columns,
                              int32_t *acc) {
  lanes sum[MOST_SUMS] = {{0}};
  for (uint32_t i = 0; i < outliers->count; i++) {
    const uint32_t k = outliers->at[i].k, quad = k / DP_KR % DP_S4_QUADS;
    const uint8_t *group = w + k / DP_S4_GROUP * DP_S4_GROUP_BYTES;
    const uint8_t *m = group + first * DP_COLUMN;
    const lanes *quads = (const void *)(group + DP_NR + quad / 2 * DP_QUAD_BYTES + first * DP_COLUMN * DP_KR);
    const int at = (int)(k % DP_KR * 8 + quad % 2 * 4);
    const int32_t high = dp_outlier_high(outliers, i);
    for (uint32_t v = 0; v < columns * COLUMN; v++) {
      sum[v] = add_product_s4(sum[v], high, nibbles_at(quads[v], at), dp_multipliers_at(m + v * DP_PART_LANES));
    }
  }
  add_sums(acc, columns * COLUMN, sum);
}

void DP_PER_ISA(dp_add_outliers_s4)(const dp_outliers *outliers, const uint8_t *w, uint32_t first, uint32_t columns,
                                    int32_t *acc) {
  const uint32_t last = first + columns;
  for (; first + MOST_COLUMNS <= last; first += MOST_COLUMNS, acc += MOST_COLUMNS * DP_COLUMN) {
    add_columns_s4(outliers, w, first, MOST_COLUMNS, acc);
  }
  for (; first < last; first++, acc += DP_COLUMN) add_columns_s4(outliers, w, first, 1, acc);
}
