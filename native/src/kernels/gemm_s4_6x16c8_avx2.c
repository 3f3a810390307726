/*
 * gemm_s4_6x16c8_avx2.c: rows times a block of four bits, six rows and a column at a time. Columns take turns as in
 * turns256.h. In each turn nibbles become bytes once for all rows, so that a product takes vpmaddubsw and an addition of
 * words, and once in a group vpmaddwd: half of what weights of eight bits take. Twelve of the 16 registers are a group's
 * sums, two hold weights, one activations, one products.
 */
#include <string.h>

#include "../kernel_table.h"
#include "ahead.h"
#include "nibbles_madd256.h"

enum {
  MR = 6,
  MOST_ROWS = 64,
  TURN = 8, /* groups */
  TURN_BYTES = TURN * DP_S4_GROUP_BYTES,
  COLUMN_BYTES = DP_COLUMN * DP_KR,                /* of a quad */
  LINES = TURN_BYTES / 64 / DP_COLUMNS,            /* of memory that a column asks for */
  AHEAD_STEP = LINES * 256 / (TURN * DP_S4_QUADS), /* of one panel: lines per quad, in 1/256 */
};

/* A turn's weights of a column. */
typedef struct column {
  _Alignas(DP_CACHE_LINE) uint8_t u[TURN][DP_S4_QUADS][COLUMN_BYTES];
  int16_t m[TURN][DP_COLUMN][2];
} column;

/* sum[c] += x * w of a quad, words. In assembly, with the load, for the reasons given in sign256.h. */
#define MULTIPLY_AT(sum0, sum1, at, w0, w1)                   \
  do {                                                        \
    __m256i x_, products_;                                    \
    __asm__(                                                  \
        "vpbroadcastd %6, %2\n\t"                             \
        "vpmaddubsw %2, %4, %3\n\t"                           \
        "vpmaddubsw %2, %5, %2\n\t"                           \
        "vpaddw %3, %0, %0\n\t"                               \
        "vpaddw %2, %1, %1"                                   \
        : "+x"(sum0), "+x"(sum1), "=&x"(x_), "=&x"(products_) \
        : "x"(w0), "x"(w1), "m"(*(const int32_t *)(at)));     \
  } while (0)

/* Apart, as panels are: constants would take registers. */
static __attribute__((noinline)) void unpack(const uint8_t *w, size_t groups, int c, column *to) {
  for (size_t g = 0; g < groups; g++, w += DP_S4_GROUP_BYTES) {
    for (int r = 0; r < DP_REGISTERS; r++) {
      const uint8_t *m = w + c * DP_COLUMN + r * DP_LANES, *pairs = w + DP_NR + c * COLUMN_BYTES + r * 32;
      dp_store(to->m[g][r * DP_LANES], dp_multipliers(m));
      for (int pair = 0; pair < DP_S4_PAIRS; pair++) {
        const __m256i nibbles = dp_load(pairs + pair * DP_QUAD_BYTES);
        dp_store(to->u[g][2 * pair] + r * 32, dp_low_nibbles(nibbles));
        dp_store(to->u[g][2 * pair + 1] + r * 32, dp_high_nibbles(nibbles));
      }
    }
  }
}

/* acc[m, n] += sum of a turn; start: of each row, of its groups. */
DP_INLINE void tile(const int8_t *x, size_t stride, const int32_t (*start)[TURN], const int rows, const column *w,
                    size_t groups, int32_t *acc, dp_ahead ahead) {
  for (size_t g = 0; g < groups; g++) {
    __m256i sum[MR][DP_REGISTERS];
    DP_UNROLL for (int m = 0; m < rows; m++) sum[m][0] = sum[m][1] = _mm256_set1_epi32(start[m][g]);
    for (int q = 0; q < DP_S4_QUADS; q++, x += DP_KR, ahead.at += ahead.step) {
      _mm_prefetch(ahead.memory + (ahead.at >> 8) * 64, _MM_HINT_T0);
      const __m256i w0 = dp_load(w->u[g][q]), w1 = dp_load(w->u[g][q] + 32);
      DP_UNROLL for (int m = 0; m < rows; m++) {
        MULTIPLY_AT(sum[m][0], sum[m][1], (const void *)(x + m * stride), w0, w1);
      }
    }
    const __m256i m0 = dp_load(w->m[g]), m1 = dp_load(w->m[g][DP_LANES]);
    DP_UNROLL for (int m = 0; m < rows; m++) {
      int32_t *to = acc + m * DP_NR;
      dp_store(to, _mm256_add_epi32(dp_load(to), _mm256_madd_epi16(sum[m][0], m0)));
      dp_store(to + DP_LANES, _mm256_add_epi32(dp_load(to + DP_LANES), _mm256_madd_epi16(sum[m][1], m1)));
    }
  }
}

#define CALL(n) tile(x, stride, start, n, w, groups, acc, ahead)

static void panel(const int8_t *x, size_t stride, const int32_t (*start)[TURN], uint32_t rows, const column *w,
                  size_t groups, int32_t *acc, dp_ahead ahead) {
  DP_SWITCH_6(rows, CALL)
}

static __attribute__((noinline)) void start_rows(const int8_t *x, size_t stride, uint32_t rows, size_t groups,
                                                 int32_t (*start)[TURN]) {
  for (uint32_t m = 0; m < rows; m++, x += stride) {
    for (size_t g = 0; g < groups; g++) start[m][g] = dp_group_start(x + g * DP_S4_GROUP);
  }
}

void dp_gemm_s4_6x16c8_avx2(const void *xq, size_t stride, uint32_t rows, const uint8_t *w, size_t groups,
                            int32_t *acc) {
  const int8_t *x = xq;
  const uint32_t panels = (rows + MR - 1) / MR;
  int32_t start[MOST_ROWS][TURN];
  column unpacked;
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  for (size_t g = 0; g < groups; g += TURN, w += TURN_BYTES, x += TURN * DP_S4_GROUP) {
    const size_t count = groups - g < TURN ? groups - g : TURN;
    start_rows(x, stride, rows, count, start);
    for (int c = 0; c < DP_COLUMNS; c++) {
      unpack(w, count, c, &unpacked);
      for (uint32_t p = 0, m = 0, end; p < panels; p++, m = end) {
        end = rows * (p + 1) / panels;
        /* so the turn after this one is on its way */
        const dp_ahead ahead = {
            .memory = (const int8_t *)w + TURN_BYTES,
            .at = (c * LINES + p * LINES / panels) << 8,
            .step = AHEAD_STEP / panels,
        };
        panel(x + m * stride, stride, start + m, end - m, &unpacked, count, acc + m * DP_NR + c * DP_COLUMN, ahead);
      }
    }
  }
}
