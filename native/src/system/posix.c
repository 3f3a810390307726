/* posix.c: Linux, macOS and their kin. */
#define _GNU_SOURCE /* sched_setaffinity */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../include/dotpool.h"
#include "../system.h"

uint64_t dp_now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void dp_yield(void) { sched_yield(); }

size_t dp_l2_bytes(void) {
  long bytes = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  return bytes > 0 ? (size_t)bytes : (size_t)1 << 20;
}

int dp_advise_huge_pages(void *address, uint64_t bytes) {
#ifdef MADV_HUGEPAGE
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t first = ((uintptr_t)address + page - 1) / page * page;
  const uintptr_t last = ((uintptr_t)address + bytes) / page * page;
  if (last <= first) return EINVAL;
  return madvise((void *)first, last - first, MADV_HUGEPAGE) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}

int dp_pin_thread(const uint32_t *cpus, uint32_t count) {
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  for (uint32_t i = 0; i < count; i++) {
    if (cpus[i] >= CPU_SETSIZE) return EINVAL;
    CPU_SET(cpus[i], &set);
  }
  return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}
