/* windows.c: Windows, by its own interface. */
#include <errno.h>
#include <stdlib.h>
#include <windows.h>

#include "../../include/dotpool.h"
#include "../system.h"

enum { NANOS_PER_SECOND = 1000000000 };

uint64_t dp_now_ns(void) {
  LARGE_INTEGER counter, per_second;
  QueryPerformanceCounter(&counter);
  QueryPerformanceFrequency(&per_second);
  const uint64_t ticks = (uint64_t)counter.QuadPart, rate = (uint64_t)per_second.QuadPart;
  /* in two parts: the product of all ticks would overflow within half an hour */
  return ticks / rate * NANOS_PER_SECOND + ticks % rate * NANOS_PER_SECOND / rate;
}

void dp_yield(void) { SwitchToThread(); }

static size_t ask_l2_bytes(void) {
  size_t bytes = (size_t)1 << 20;
  DWORD size = 0;
  GetLogicalProcessorInformation(NULL, &size);
  SYSTEM_LOGICAL_PROCESSOR_INFORMATION *found = malloc(size);
  if (found != NULL && GetLogicalProcessorInformation(found, &size)) {
    for (size_t i = 0; i < size / sizeof *found; i++) {
      const CACHE_DESCRIPTOR *cache = &found[i].Cache;
      if (found[i].Relationship != RelationCache || cache->Level != 2 || cache->Size == 0) continue;
      bytes = cache->Size;
      break;
    }
  }
  free(found);
  return bytes;
}

/* Plans ask for every op, so that the answer is kept; all threads would find the same. */
size_t dp_l2_bytes(void) {
  static _Atomic size_t kept;
  size_t bytes = atomic_load_explicit(&kept, memory_order_relaxed);
  if (bytes == 0) {
    bytes = ask_l2_bytes();
    atomic_store_explicit(&kept, bytes, memory_order_relaxed);
  }
  return bytes;
}

/* Large pages need a privilege here, and must be asked for when memory is allocated. */
int dp_advise_huge_pages(void *address, uint64_t bytes) { return ENOSYS; }

/* JavaScript learns no CPU's number here. */
int dp_pin_thread(const uint32_t *cpus, uint32_t count) { return ENOSYS; }
