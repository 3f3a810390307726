/* lanes256.h: registers of eight int32 sums, for kernels compiled with AVX2. */
#ifndef DP_LANES256_H
#define DP_LANES256_H

#include <immintrin.h>

#include "../registers.h"
#include "../tiles.h"

enum { DP_LANES = 8, DP_REGISTERS = DP_COLUMN / DP_LANES }; /* registers of a column's sums */

static inline __m256i dp_load(const void *at) { return _mm256_load_si256((const __m256i *)at); }

static inline void dp_store(void *at, __m256i lanes) { _mm256_store_si256((__m256i *)at, lanes); }

/* Four bytes in every channel's place. */
static inline __m256i dp_broadcast(const void *x) { return _mm256_set1_epi32(*(const int32_t *)x); }

/* The sums of a column, of as many rows as the compiler knows: from acc, and back. */
DP_INLINE void dp_load_sums(__m256i (*sum)[DP_REGISTERS], const int rows, const int32_t *acc) {
  DP_UNROLL for (int m = 0; m < rows; m++) {
    sum[m][0] = dp_load(acc + m * DP_NR);
    sum[m][1] = dp_load(acc + m * DP_NR + DP_LANES);
  }
}

DP_INLINE void dp_store_sums(__m256i (*sum)[DP_REGISTERS], const int rows, int32_t *acc) {
  DP_UNROLL for (int m = 0; m < rows; m++) {
    dp_store(acc + m * DP_NR, sum[m][0]);
    dp_store(acc + m * DP_NR + DP_LANES, sum[m][1]);
  }
}

#endif
