/* string.h: what the sources use of it; there is no libc below WebAssembly. */
#ifndef DP_WASM_STRING_H
#define DP_WASM_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int strcmp(const char *a, const char *b);
size_t strlen(const char *text);

#endif
