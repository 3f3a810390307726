/* pages.h: memory as the operating system gives it; each file in system/ asks one. */
#ifndef DP_PAGES_H
#define DP_PAGES_H

#include <stddef.h>

size_t page_bytes(void);

/* Zeroed bytes, and after them as many as `forbidden` that nobody may touch, both whole pages; or NULL. */
char *map_pages(size_t usable, size_t forbidden);

/* Gives back all bytes of a mapping, both parts. */
void unmap_pages(char *pages, size_t bytes);

#endif
