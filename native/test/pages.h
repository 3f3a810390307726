/* pages.h: memory from the operating system; each file in system/ implements it for one. */
#ifndef DP_PAGES_H
#define DP_PAGES_H

#include <stddef.h>

size_t page_bytes(void);

/* Zeroed bytes, followed by `forbidden` bytes that trap on access, both whole pages; or NULL. */
char *map_pages(size_t usable, size_t forbidden);

/* Unmaps all bytes of a mapping, both parts. */
void unmap_pages(char *pages, size_t bytes);

#endif
