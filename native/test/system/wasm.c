#include <stdlib.h>
#include <string.h>

#include "../pages.h"

size_t page_bytes(void) { return 65536; }

/* Pages cannot be forbidden here: other systems find reads past the end. */
char *map_pages(size_t usable, size_t forbidden) {
  char *pages = aligned_alloc(page_bytes(), usable + forbidden);
  return pages == NULL ? NULL : memset(pages, 0, usable + forbidden);
}

void unmap_pages(char *pages, size_t bytes) { free(pages); }
