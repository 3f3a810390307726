/* cpu.h: what this CPU can run, as the operating system lets it, or why not. */
#ifndef DP_CPU_H
#define DP_CPU_H

/*
 * What keeps an ISA's kernels from running here, in a few words that name the CPU's feature as
 * /proc/cpuinfo does; NULL if nothing does.
 */
typedef const char *dp_obstacle_fn(void);

/* Of kernels that are not in this library. Each ISA of isas.h has one of its own: dp_obstacle_ISA. */
dp_obstacle_fn dp_obstacle_unbuilt;

/* A hint to the core that this is a spin loop. */
static inline void dp_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

#endif
