/*
 * gemm_s8_6x16c4_avx2.c: many rows times a block, six rows and a column at a time, as turns256.h orders them. In each
 * turn weights are widened to words once for all rows, so that a product of theirs takes vpmaddwd and an addition and
 * nothing else. Twelve of the 16 registers are sums, two hold weights, one activations, one products.
 */
#include <string.h>

#include "../kernel_table.h"
#include "activations256.h"
#include "turns256.h"

enum {
  MR = 6,
  COLUMN_WORDS = DP_COLUMN * DP_KR, /* of a quad */
  PAIR_WORDS = COLUMN_WORDS / 2,    /* of two of its k */
};

/* sum[c] += x * w, two k of which lie at x. In assembly, with the load, for the reasons given in sign256.h. */
#define MULTIPLY_AT(sum0, sum1, at, w0, w1)                   \
  do {                                                        \
    __m256i x_, products_;                                    \
    __asm__(                                                  \
        "vpbroadcastd %6, %2\n\t"                             \
        "vpmaddwd %4, %2, %3\n\t"                             \
        "vpmaddwd %5, %2, %2\n\t"                             \
        "vpaddd %3, %0, %0\n\t"                               \
        "vpaddd %2, %1, %1"                                   \
        : "+x"(sum0), "+x"(sum1), "=&x"(x_), "=&x"(products_) \
        : "x"(w0), "x"(w1), "m"(*(const int32_t *)(at)));     \
  } while (0)

/* acc[m, n] += sum of a turn. x: words. */
DP_INLINE void tile(const char *x, size_t stride, const int rows, const int16_t *w, size_t quads, int32_t *acc,
                    dp_ahead ahead) {
  __m256i sum[MR][DP_REGISTERS];
  dp_load_sums(sum, rows, acc);
  for (size_t q = 0; q < quads; q++, ahead.at += ahead.step) {
    _mm_prefetch(ahead.memory + (ahead.at >> 8) * 64, _MM_HINT_T1);
    DP_UNROLL for (int pair = 0; pair < DP_KR / 2; pair++, x += 2 * sizeof(int16_t), w += PAIR_WORDS) {
      const __m256i w0 = dp_load(w), w1 = dp_load(w + PAIR_WORDS / 2);
      DP_UNROLL for (int m = 0; m < rows; m++)
          MULTIPLY_AT(sum[m][0], sum[m][1], (const void *)(x + m * stride), w0, w1);
    }
  }
  dp_store_sums(sum, rows, acc);
}

#define CALL(n) tile(x, stride, n, w, quads, acc, *ahead)

static void panel(const char *x, size_t stride, uint32_t rows, const void *w, size_t quads, int32_t *acc,
                  const dp_ahead *ahead) {
  DP_SWITCH_6(rows, CALL)
}

/* wide[pair][channel][2] = w[channel][4], a quad of half a column. */
static inline void widen_half(const int8_t *w, int16_t *wide) {
  /* each byte of a pair of k into the upper half of a word, from where a shift brings its sign down */
  const __m256i first = _mm256_set1_epi64x(0x0580048001800080), second = _mm256_set1_epi64x(0x0780068003800280);
  const __m256i eight = _mm256_setr_epi64x(0, 0x0800080008000800, 0, 0x0800080008000800);
  const __m256i bytes = dp_load(w);
  const __m256i pair0 = _mm256_shuffle_epi8(bytes, _mm256_add_epi8(first, eight));
  const __m256i pair1 = _mm256_shuffle_epi8(bytes, _mm256_add_epi8(second, eight));
  dp_store(wide, _mm256_srai_epi16(pair0, 8));
  dp_store(wide + PAIR_WORDS, _mm256_srai_epi16(pair1, 8));
}

static const void *widen(const int8_t *w, size_t quads, void *room) {
  int16_t *wide = room;
  for (size_t q = 0; q < quads; q++, w += DP_QUAD_BYTES, wide += COLUMN_WORDS) {
    widen_half(w, wide);
    widen_half(w + 32, wide + PAIR_WORDS / 2);
  }
  return room;
}

void dp_gemm_s8_6x16c4_avx2(const void *xq, size_t stride, uint32_t rows, const int8_t *w, size_t quads,
                            const int32_t *col_sum, int32_t *acc, const int8_t *ahead) {
  (void)col_sum;
  (void)ahead; /* it looks ahead in its own weights, which are read in order */
  _Alignas(64) int16_t wide[DP_TURN * COLUMN_WORDS];
  const dp_turns turns = {.mr = MR, .quad_bytes = DP_KR * sizeof *wide, .column = widen, .panel = panel};
  memset(acc, 0, rows * DP_NR * sizeof *acc);
  dp_take_turns(turns, dp_words(xq, quads), stride, rows, w, quads, wide, acc);
}
