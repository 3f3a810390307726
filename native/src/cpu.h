/* cpu.h: what this CPU can run, as the operating system lets it, or why not. */
#ifndef DP_CPU_H
#define DP_CPU_H

/*
 * What keeps an ISA's kernels from running here, in a few words that name the CPU's feature as
 * /proc/cpuinfo does; NULL if nothing does.
 */
typedef const char *dp_obstacle_fn(void);

dp_obstacle_fn dp_obstacle_none;    /* of portable code */
dp_obstacle_fn dp_obstacle_unbuilt; /* of kernels that are not in this library */
dp_obstacle_fn dp_obstacle_avx2;
dp_obstacle_fn dp_obstacle_avxvnni; /* takes AVX2, too */
dp_obstacle_fn dp_obstacle_avx512vnni;
dp_obstacle_fn dp_obstacle_amx; /* takes AVX-512 VNNI, too; asks Linux to let this process use tiles */
dp_obstacle_fn dp_obstacle_dotprod;
dp_obstacle_fn dp_obstacle_i8mm; /* takes dotprod, too: no core has one without the other */
dp_obstacle_fn dp_obstacle_wasmrelaxed;

/* Tells the core that this is a spin loop. */
static inline void dp_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

#endif
