/*
 * wasm.c: WebAssembly, on whatever its JavaScript runs on. Every thread has an instance of its own over
 * one memory, and a stack of its own, which JavaScript sets; nothing here may be thread-local.
 */
#include "../../include/dotpool.h"
#include "../system.h"

/* Milliseconds since the epoch, with as much behind the point as the host tells. */
__attribute__((import_module("env"), import_name("now"))) double dp_host_now_ms(void);

uint64_t dp_now_ns(void) { return (uint64_t)(dp_host_now_ms() * 1e6); }

/* Nothing here yields as such; a wait that nobody ends lets others run, and takes some 50 us. */
void dp_yield(void) {
  static int32_t still;
  const int64_t timeout_ns = 1000;
  __builtin_wasm_memory_atomic_wait32(&still, 0, timeout_ns);
}

size_t dp_l2_bytes(void) { return (size_t)1 << 20; }

enum { ENOTSUP = 58 }; /* as WASI numbers it */

int dp_advise_huge_pages(void *address, uint64_t bytes) { return ENOTSUP; }

int dp_pin_thread(const uint32_t *cpus, uint32_t count) { return ENOTSUP; }

int dp_map_file(const char *path, dp_mapping *mapping) { return ENOTSUP; }

void dp_unmap_file(const dp_mapping *mapping) {}
