#include "cpu.h"

#include <unistd.h>

int dp_cpu_has_anything(void) { return 1; }

#if defined(__x86_64__)
/* The builtin also asks XGETBV whether the system saves the wide registers. */
int dp_cpu_has_avx2(void) { return __builtin_cpu_supports("avx2"); }

int dp_cpu_has_avx512vnni(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

size_t dp_cpu_l2_bytes(void) {
  long bytes = -1;
#ifdef _SC_LEVEL2_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  return bytes > 0 ? (size_t)bytes : (size_t)1 << 20;
}
