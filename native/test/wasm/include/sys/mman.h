/* mman.h: what the tests use of it; no page can be protected. */
#include <stddef.h>

#define MAP_FAILED ((void *)-1)
enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 32 };

void *mmap(void *at, size_t bytes, int protection, int flags, int file, long offset);
int munmap(void *at, size_t bytes);
int mprotect(void *at, size_t bytes, int protection);
