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

/* Opens a file that nobody may write meanwhile; INVALID_HANDLE_VALUE if it cannot. */
static HANDLE open_for_reading(const char *path) {
  const int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
  WCHAR *wide = units > 0 ? malloc((size_t)units * sizeof *wide) : NULL;
  if (wide == NULL) return INVALID_HANDLE_VALUE;
  MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, units);
  const HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                                  FILE_ATTRIBUTE_NORMAL, NULL);
  const DWORD problem = GetLastError();
  free(wide);
  SetLastError(problem);
  return file;
}

static int last_problem(void) {
  const DWORD problem = GetLastError();
  return problem == 0 ? ERROR_INVALID_PARAMETER : (int)problem;
}

static int map_open_file(HANDLE file, dp_mapping *mapping) {
  LARGE_INTEGER size;
  if (GetFileType(file) != FILE_TYPE_DISK) return ERROR_INVALID_PARAMETER;
  if (!GetFileSizeEx(file, &size)) return last_problem();
  if (size.QuadPart == 0) return ERROR_INVALID_PARAMETER;
  const HANDLE section = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
  if (section == NULL) return last_problem();
  const void *address = MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0);
  const int problem = address == NULL ? last_problem() : 0;
  CloseHandle(section); /* the view keeps it */
  if (problem != 0) return problem;
  *mapping = (dp_mapping){(uintptr_t)address, (uint64_t)size.QuadPart, (uintptr_t)file};
  return 0;
}

int dp_map_file(const char *path, dp_mapping *mapping) {
  const HANDLE file = open_for_reading(path);
  if (file == INVALID_HANDLE_VALUE) return last_problem();
  const int problem = map_open_file(file, mapping);
  if (problem != 0) CloseHandle(file);
  return problem;
}

void dp_unmap_file(const dp_mapping *mapping) {
  UnmapViewOfFile((const void *)(uintptr_t)mapping->address);
  CloseHandle((HANDLE)(uintptr_t)mapping->file);
}
