/* system.h: what is asked of the operating system; each file in system/ is one. */
#ifndef DP_SYSTEM_H
#define DP_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

/* What a worker's stack takes where threads do not bring one; it ends where its scratch memory begins. */
#if defined(__wasm__)
#define DP_STACK_BYTES (256 << 10)
#else
#define DP_STACK_BYTES 0
#endif

/* Nanoseconds of a clock that never goes back and is the same in all threads. */
uint64_t dp_now_ns(void);

/* Lets another thread have this core, if one waits for it. */
void dp_yield(void);

/* Bytes of one core's level-2 cache; 1 MiB where the system does not tell. */
size_t dp_l2_bytes(void);

#endif
