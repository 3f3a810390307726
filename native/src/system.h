/* system.h: what is asked of the operating system; each file in system/ is one. */
#ifndef DP_SYSTEM_H
#define DP_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

/* What a worker's stack takes where threads do not bring one; it ends where its scratch memory begins. */
#if defined(__wasm__)
#define DP_STACK_BYTES (64 << 10)
#else
#define DP_STACK_BYTES 0
#endif

/* Nanoseconds of a clock that never goes back and is the same in all threads. */
uint64_t dp_now_ns(void);

/* Lets another thread have this core, if one waits for it. */
void dp_yield(void);

/*
 * Turns of a spin loop: before it yields, for whoever is waited for may need this core, and before it looks
 * at the clock, which takes as long as a turn or two. WebAssembly knows no pause, so that a turn takes 2 ns
 * and not 50; and to yield takes it longer, so that it is tried later.
 */
#if defined(__wasm__)
enum { DP_SPINS_BEFORE_YIELD = 8192, DP_SPINS_PER_CLOCK = 256 };
#else
enum { DP_SPINS_BEFORE_YIELD = 64, DP_SPINS_PER_CLOCK = 16 };
#endif

/* Bytes of one core's level-2 cache; 1 MiB where the system does not say. */
size_t dp_l2_bytes(void);

#endif
