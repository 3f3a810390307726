/* epilogue_avx2.c: int32 sums to float32 or bfloat16, eight channels at a time. */
#include <immintrin.h>
#include <string.h>

#include "../kernel_table.h"

enum { LANES = 8 };

static inline __m256 dequantize(const int32_t *acc, __m256 x_scale, const float *w_scale, const float *bias) {
  __m256i sums = _mm256_load_si256((const __m256i *)(const void *)acc);
  __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), x_scale);
  y = _mm256_mul_ps(y, _mm256_load_ps(w_scale));
  return bias == NULL ? y : _mm256_add_ps(y, _mm256_load_ps(bias));
}

/* Round to nearest, ties to even, as integers; the upper half of every lane is the answer. */
static inline __m128i to_bf16(__m256 value) {
  __m256i bits = _mm256_castps_si256(value);
  __m256i lsb = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), lsb);
  __m256 nan = _mm256_cmp_ps(value, value, _CMP_UNORD_Q);
  rounded = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc00000), _mm256_castps_si256(nan));
  rounded = _mm256_srli_epi32(rounded, 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}

void dp_epilogue_f32_avx2(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                          void *y) {
  __m256 scale = _mm256_set1_ps(x_scale);
  for (size_t n = 0; n < count; n += LANES) {
    float lanes[LANES];
    _mm256_storeu_ps(lanes, dequantize(acc + n, scale, w_scale + n, bias == NULL ? NULL : bias + n));
    size_t left = count - n < LANES ? count - n : LANES;
    memcpy((float *)y + n, lanes, left * sizeof *lanes);
  }
}

void dp_epilogue_bf16_avx2(const int32_t *acc, size_t count, float x_scale, const float *w_scale, const float *bias,
                           void *y) {
  __m256 scale = _mm256_set1_ps(x_scale);
  for (size_t n = 0; n < count; n += LANES) {
    uint16_t lanes[LANES];
    __m256 value = dequantize(acc + n, scale, w_scale + n, bias == NULL ? NULL : bias + n);
    _mm_storeu_si128((__m128i *)(void *)lanes, to_bf16(value));
    size_t left = count - n < LANES ? count - n : LANES;
    memcpy((uint16_t *)y + n, lanes, left * sizeof *lanes);
  }
}
