/* posix.c: Linux, macOS and their kin. */
#define _GNU_SOURCE /* sched_setaffinity */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
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

/* Refuses what another has locked to write it. Some network file systems know no locks. */
static int lock_for_reading(int file) {
  while (flock(file, LOCK_SH | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return errno;
    if (errno != EINTR) return 0;
  }
  return 0;
}

static int map_open_file(int file, dp_mapping *mapping) {
  /* fstat would take a newer glibc than Node.js does */
  const off_t bytes = lseek(file, 0, SEEK_END);
  if (bytes < 0) return errno;
  if (bytes == 0) return EINVAL;
  const int problem = lock_for_reading(file);
  if (problem != 0) return problem;
  void *address = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, file, 0);
  if (address == MAP_FAILED) return errno;
  *mapping = (dp_mapping){(uintptr_t)address, (uint64_t)bytes, (uint64_t)file};
  return 0;
}

int dp_map_file(const char *path, dp_mapping *mapping) {
  /* does not wait for the writer of a FIFO */
  const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return errno;
  const int problem = map_open_file(file, mapping);
  if (problem != 0) close(file);
  return problem;
}

void dp_unmap_file(const dp_mapping *mapping) {
  munmap((void *)(uintptr_t)mapping->address, (size_t)mapping->bytes);
  close((int)mapping->file);
}
