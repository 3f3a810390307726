#include <windows.h>

#include "../pages.h"

size_t page_bytes(void) {
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  return system.dwPageSize;
}

/* Reserved memory that is not committed traps on access. */
char *map_pages(size_t usable, size_t forbidden) {
  char *pages = VirtualAlloc(NULL, usable + forbidden, MEM_RESERVE, PAGE_NOACCESS);
  /* it does not commit nothing */
  return pages == NULL || usable == 0 ? pages : VirtualAlloc(pages, usable, MEM_COMMIT, PAGE_READWRITE);
}

void unmap_pages(char *pages, size_t bytes) { VirtualFree(pages, 0, MEM_RELEASE); }
