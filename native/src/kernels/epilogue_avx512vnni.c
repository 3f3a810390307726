/* epilogue_avx512vnni.c: int32 sums to float32 or bfloat16, sixteen channels at a time. */
#include <immintrin.h>

#include "../kernel_table.h"

enum { LANES = 16 };

static inline __mmask16 first_lanes(size_t count) {
  return count >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1);
}

static inline __m512 dequantize(const int32_t *acc, __m512 x_scale, const float *w_scale, const float *bias) {
  __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(acc)), x_scale);
  y = _mm512_mul_ps(y, _mm512_load_ps(w_scale));
  return bias == NULL ? y : _mm512_add_ps(y, _mm512_load_ps(bias));
}

/* Round to nearest, ties to even, as integers: the machine's own conversion flushes denormals. */
static inline __m256i to_bf16(__m512 value) {
  __m512i bits = _mm512_castps_si512(value);
  __m512i lsb = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), lsb);
  __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  rounded = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc00000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

void dp_epilogue_f32_avx512vnni(const int32_t *acc, size_t count, float x_scale, const float *w_scale,
                                const float *bias, void *y) {
  __m512 scale = _mm512_set1_ps(x_scale);
  for (size_t n = 0; n < count; n += LANES) {
    __m512 value = dequantize(acc + n, scale, w_scale + n, bias == NULL ? NULL : bias + n);
    _mm512_mask_storeu_ps((float *)y + n, first_lanes(count - n), value);
  }
}

void dp_epilogue_bf16_avx512vnni(const int32_t *acc, size_t count, float x_scale, const float *w_scale,
                                 const float *bias, void *y) {
  __m512 scale = _mm512_set1_ps(x_scale);
  for (size_t n = 0; n < count; n += LANES) {
    __m512 value = dequantize(acc + n, scale, w_scale + n, bias == NULL ? NULL : bias + n);
    _mm256_mask_storeu_epi16((uint16_t *)y + n, first_lanes(count - n), to_bf16(value));
  }
}
