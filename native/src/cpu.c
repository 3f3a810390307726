#include "cpu.h"

#include <stddef.h>

#define DP_LIST_ISA(isa, ...) dp_obstacle_fn dp_obstacle_##isa;
#include "isas.h"

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
#include <sys/auxv.h>
#endif

const char *dp_obstacle_unbuilt(void) {
#if defined(__wasm__)
  return "this module is for engines without relaxed SIMD";
#else
  return "not in this library: its compiler does not know it, or it is untested on this system";
#endif
}

/* Portable code, and what every CPU of an architecture has. */
#if defined(__wasm__)
const char *dp_obstacle_wasm(void) { return NULL; }
#else
const char *dp_obstacle_scalar(void) { return NULL; }
#endif

#if defined(__x86_64__)
enum { EAX, EBX, ECX, EDX };

/* A bit of CPUID leaf 7. It does not say whether the system saves the registers. */
static int has(unsigned subleaf, int reg, int bit) {
  unsigned regs[4];
  return __get_cpuid_count(7, subleaf, &regs[EAX], &regs[EBX], &regs[ECX], &regs[EDX]) && (regs[reg] >> bit & 1);
}

static const char unsaved[] = "the CPU has it, but the system does not save its registers";

/* The builtins also ask XGETBV whether the system saves the wide registers. */
const char *dp_obstacle_avx2(void) {
  if (__builtin_cpu_supports("avx2")) return NULL;
  return has(0, EBX, 5) ? unsaved : "the CPU lacks avx2";
}

const char *dp_obstacle_avx512vnni(void) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni")) {
    return NULL;
  }
  if (!has(0, EBX, 16)) return "the CPU lacks avx512f";
  if (!has(0, EBX, 30)) return "the CPU lacks avx512bw";
  if (!has(0, EBX, 31)) return "the CPU lacks avx512vl";
  if (!has(0, ECX, 11)) return "the CPU lacks avx512_vnni";
  return unsaved;
}

/* It takes AVX2, too, whose registers it has: the system saves both or none. Older builtins do not know it. */
const char *dp_obstacle_avxvnni(void) {
  const char *obstacle = dp_obstacle_avx2();
  if (obstacle != NULL) return obstacle;
  return has(1, EAX, 4) ? NULL : "the CPU lacks avx_vnni";
}

#if defined(__linux__)
/* Only where AVX-512 is, so that there is an XGETBV. */
static int saves_tiles(void) {
  enum { TILE_STATES = 3 << 17 };
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

/* It takes AVX-512 VNNI, too; asks Linux to let this process use tiles. */
const char *dp_obstacle_amx(void) {
  if (!has(0, EDX, 24)) return "the CPU lacks amx_tile";
  if (!has(0, EDX, 25)) return "the CPU lacks amx_int8";
  const char *obstacle = dp_obstacle_avx512vnni();
  if (obstacle != NULL) return obstacle;
  if (!saves_tiles()) return unsaved;
  return may_use_tiles() ? NULL : "the CPU has it, but Linux does not let this process use it";
}
#endif
#elif defined(__aarch64__)
/* Programs cannot ask an Arm CPU for its features; the system knows them. */
#if defined(__APPLE__)
static int has(const char *feature) {
  int value = 0;
  size_t bytes = sizeof value;
  return sysctlbyname(feature, &value, &bytes, NULL, 0) == 0 && value != 0;
}

static int has_dotprod(void) { return has("hw.optional.arm.FEAT_DotProd"); }

static int has_i8mm(void) { return has("hw.optional.arm.FEAT_I8MM"); }
#elif defined(_WIN32)
/* Numbers of winnt.h, which older ones lack. */
enum { DOTPROD = 43, I8MM = 66 };

static int has_dotprod(void) { return IsProcessorFeaturePresent(DOTPROD); }

static int has_i8mm(void) { return IsProcessorFeaturePresent(I8MM); }
#else
/* Bits of asm/hwcap.h, which a system with another libc may lack. */
enum { DOTPROD = 1 << 20, I8MM = 1 << 13 };

static int has_dotprod(void) { return (getauxval(AT_HWCAP) & DOTPROD) != 0; }

static int has_i8mm(void) { return (getauxval(AT_HWCAP2) & I8MM) != 0; }
#endif

const char *dp_obstacle_neon(void) { return NULL; }

const char *dp_obstacle_dotprod(void) { return has_dotprod() ? NULL : "the CPU lacks asimddp, or the system hides it"; }

/* It takes dotprod, too: no core has one without the other. */
const char *dp_obstacle_i8mm(void) {
  const char *obstacle = dp_obstacle_dotprod();
  if (obstacle != NULL) return obstacle;
  return has_i8mm() ? NULL : "the CPU lacks i8mm, or the system hides it";
}
#endif
