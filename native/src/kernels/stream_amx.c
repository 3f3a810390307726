/*
 * stream_amx.c: results past the caches. Multiplying by tiles takes all lines that a core can wait for at
 * once, so that none are left for reading what is then overwritten.
 */
#include <immintrin.h>
#include <string.h>

#include "../kernel_table.h"

void dp_stream_row_amx(void *y, const void *row, size_t bytes) {
  if ((uintptr_t)y % DP_CACHE_LINE != 0 || bytes % DP_CACHE_LINE != 0) {
    memcpy(y, row, bytes);
    return;
  }
  for (size_t i = 0; i < bytes; i += DP_CACHE_LINE) {
    _mm512_stream_si512((void *)((char *)y + i), _mm512_load_si512((const char *)row + i));
  }
}
