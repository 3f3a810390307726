/* kept_pages.c: pages for pages.h that are reused: mapping new ones for every execution would take most of the time. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../test/pages.h"

enum { LEAST_PAGES = 2, MOST_PAGES = 64 }; /* of a mapping that is kept; the last of them is forbidden */

/* An unused mapping; this node lies at its beginning. */
typedef struct kept_pages {
  struct kept_pages *next;
} kept_pages;

static kept_pages *kept[MOST_PAGES + 1]; /* by the number of pages */

size_t page_bytes(void) {
  static size_t bytes;
  if (bytes == 0) bytes = (size_t)sysconf(_SC_PAGESIZE);
  return bytes;
}

char *map_pages(size_t usable, size_t forbidden) {
  const size_t count = (usable + forbidden) / page_bytes();
  if (count <= MOST_PAGES && kept[count] != NULL) {
    kept_pages *pages = kept[count];
    kept[count] = pages->next;
    return memset(pages, 0, usable);
  }
  char *pages = mmap(NULL, usable + forbidden, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return NULL;
  return mprotect(pages + usable, forbidden, PROT_NONE) == 0 ? pages : NULL;
}

void unmap_pages(char *pages, size_t bytes) {
  const size_t count = bytes / page_bytes();
  if (count < LEAST_PAGES || count > MOST_PAGES) {
    munmap(pages, bytes);
    return;
  }
  kept_pages *node = (kept_pages *)pages;
  node->next = kept[count];
  kept[count] = node;
}
