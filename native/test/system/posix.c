#include <sys/mman.h>
#include <unistd.h>

#include "../pages.h"

size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

char *map_pages(size_t usable, size_t forbidden) {
  char *pages = mmap(NULL, usable + forbidden, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return NULL;
  return mprotect(pages + usable, forbidden, PROT_NONE) == 0 ? pages : NULL;
}

void unmap_pages(char *pages, size_t bytes) { munmap(pages, bytes); }
