/* stdlib.h: what the tests use of it. */
#include <stddef.h>

enum { EXIT_SUCCESS = 0, EXIT_FAILURE = 1 };

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void free(void *at);
_Noreturn void exit(int status);
char *getenv(const char *name);
unsigned long long strtoull(const char *text, char **end, int base);
void qsort(void *items, size_t count, size_t bytes, int (*compare)(const void *, const void *));
