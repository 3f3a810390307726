#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

enum { EAX, EBX, ECX, EDX };

/* A bit of CPUID leaf 7; older compilers know no names for these. */
static int has(unsigned subleaf, int reg, int bit) {
  unsigned regs[4];
  return __get_cpuid_count(7, subleaf, &regs[EAX], &regs[EBX], &regs[ECX], &regs[EDX]) &&
         (regs[reg] >> bit & 1);
}

/* Its registers are AVX2's, which the system saves if it saves those. */
int dp_cpu_has_avxvnni(void) { return dp_cpu_has_avx2() && has(1, EAX, 4); }

#if defined(__linux__)
enum { AMX_TILE = 24, AMX_INT8 = 25, TILE_STATES = 3 << 17 };

/* Whether the system saves tiles. Only where AVX-512 is, so that there is an XGETBV. */
static int saves_tiles(void) {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & TILE_STATES) == TILE_STATES;
}

/*
 * Tiles make a thread's saved state large, so that Linux gives room for it only on request, once for all
 * threads of the process. Numbers of asm/prctl.h, which older ones lack.
 */
static int may_use_tiles(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

int dp_cpu_has_amx(void) {
  return dp_cpu_has_avx512vnni() && has(0, EDX, AMX_TILE) && has(0, EDX, AMX_INT8) && saves_tiles() &&
         may_use_tiles();
}
#else
int dp_cpu_has_amx(void) { return 0; } /* other systems let tiles be used in other ways, not tried */
#endif
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
