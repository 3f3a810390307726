#include "cpu.h"

#include <unistd.h>

#if defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__aarch64__) && defined(_WIN32)
#include <windows.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

int dp_cpu_has_anything(void) { return 1; }

#if defined(__x86_64__)
/* The builtin also asks XGETBV whether the system saves the wide registers. */
int dp_cpu_has_avx2(void) { return __builtin_cpu_supports("avx2"); }

int dp_cpu_has_avx512vnni(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__) && defined(__APPLE__)
static int has(const char *feature) {
  int value = 0;
  size_t bytes = sizeof value;
  return sysctlbyname(feature, &value, &bytes, NULL, 0) == 0 && value != 0;
}

int dp_cpu_has_dotprod(void) { return has("hw.optional.arm.FEAT_DotProd"); }

int dp_cpu_has_i8mm(void) { return dp_cpu_has_dotprod() && has("hw.optional.arm.FEAT_I8MM"); }
#elif defined(__aarch64__) && defined(_WIN32)
/* Numbers of winnt.h, which older ones lack. */
enum { DOTPROD = 43, I8MM = 66 };

int dp_cpu_has_dotprod(void) { return IsProcessorFeaturePresent(DOTPROD); }

int dp_cpu_has_i8mm(void) { return dp_cpu_has_dotprod() && IsProcessorFeaturePresent(I8MM); }
#elif defined(__aarch64__)
int dp_cpu_has_dotprod(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }

int dp_cpu_has_i8mm(void) {
  return dp_cpu_has_dotprod() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}
#endif

size_t dp_cpu_l2_bytes(void) {
  long bytes = -1;
#ifdef _SC_LEVEL2_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  return bytes > 0 ? (size_t)bytes : (size_t)1 << 20;
}
