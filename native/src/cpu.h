/* cpu.h: what this CPU can run, as the operating system lets it. */
#ifndef DP_CPU_H
#define DP_CPU_H

int dp_cpu_has_anything(void);
int dp_cpu_has_avx2(void);
int dp_cpu_has_avxvnni(void); /* and AVX2 */
int dp_cpu_has_avx512vnni(void);
int dp_cpu_has_amx(void); /* and AVX-512 VNNI; asks Linux to let this process use tiles */
int dp_cpu_has_dotprod(void);
int dp_cpu_has_i8mm(void); /* and dotprod: no core has one without the other */

/* Tells the core that this is a spin loop. */
static inline void dp_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

#endif
