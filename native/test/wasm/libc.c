/* libc.c: as much of one as the tests need; the rest is host.mjs's. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../include/dotpool.h"

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

/* Writes a formatted text to `to`, or prints it where that is NULL. */
IMPORT(format) void host_format(char *to, size_t size, const char *format, va_list arguments);
IMPORT(seed) double host_seed(void);
IMPORT(exit) _Noreturn void host_exit(int status);
IMPORT(exp) double host_exp(double x);

int main(void);
DP_EXPORT int run_tests(void) { return main(); }

int vprintf(const char *format, va_list arguments) {
  host_format(NULL, 0, format, arguments);
  return 0;
}

int printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  return 0;
}

int snprintf(char *to, size_t size, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  host_format(to, size, format, arguments);
  va_end(arguments);
  return 0;
}

int fputs(const char *text, int stream) { return printf("%s", text); }
int fputc(int character, int stream) { return fputs((char[]){(char)character, '\0'}, stream); }
int fflush(int stream) { return 0; }

void exit(int status) { host_exit(status); }
char *getenv(const char *name) { return NULL; }
unsigned long long strtoull(const char *text, char **end, int base) { return 0; }
time_t time(time_t *unused) { return (time_t)host_seed(); }
double exp(double x) { return host_exp(x); }
long sysconf(int name) { return 4096; }

/* What clang calls to multiply 128 bits. */
unsigned __int128 __multi3(uint64_t a_low, uint64_t a_high, uint64_t b_low, uint64_t b_high) {
  const uint64_t half = 0xffffffffu, a0 = a_low & half, a1 = a_low >> 32, b0 = b_low & half, b1 = b_low >> 32;
  const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), cross = a0 * b1 + (middle & half);
  const uint64_t high = a1 * b1 + (middle >> 32) + (cross >> 32) + a_low * b_high + a_high * b_low;
  return (unsigned __int128)high << 64 | a_low * b_low;
}

/* ---- memory: powers of two, each size with a list of what is free ------------------------------- */

extern char __heap_base;
static uintptr_t top;
static void *unused_of[32];

static int size_class(size_t bytes) { return bytes <= 4096 ? 12 : 32 - __builtin_clz((uint32_t)bytes - 1); }

void *mmap(void *at, size_t bytes, int protection, int flags, int file, long offset) {
  const int class = size_class(bytes);
  void *block = unused_of[class];
  if (block != NULL) {
    memcpy(&unused_of[class], block, sizeof(void *));
  } else {
    if (top == 0) top = ((uintptr_t)&__heap_base + 4095) / 4096 * 4096;
    const uintptr_t end = top + ((uintptr_t)1 << class);
    const uintptr_t have = __builtin_wasm_memory_size(0) << 16;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (size_t)-1) return MAP_FAILED;
    block = (void *)top;
    top = end;
  }
  memset(block, 0, bytes);
  return block;
}

int munmap(void *at, size_t bytes) {
  void **list = &unused_of[size_class(bytes)];
  memcpy(at, list, sizeof *list);
  *list = at;
  return 0;
}

int mprotect(void *at, size_t bytes, int protection) { return 0; }

enum { HEAD = 64 }; /* before what malloc gives: its size */

void *malloc(size_t bytes) {
  char *block = mmap(NULL, bytes + HEAD, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1, 0);
  if (block == MAP_FAILED) return NULL;
  memcpy(block, &bytes, sizeof bytes);
  return block + HEAD;
}

void *calloc(size_t count, size_t bytes) { return malloc(count * bytes); }

void free(void *at) {
  size_t bytes;
  if (at == NULL) return;
  memcpy(&bytes, (char *)at - HEAD, sizeof bytes);
  munmap((char *)at - HEAD, bytes + HEAD);
}

/* ---- strings and sorting ------------------------------------------------------------------------ */

int memcmp(const void *a, const void *b, size_t bytes) {
  const unsigned char *x = a, *y = b;
  for (size_t i = 0; i < bytes; i++) {
    if (x[i] != y[i]) return x[i] - y[i];
  }
  return 0;
}

int strncmp(const char *a, const char *b, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (a[i] != b[i] || a[i] == '\0') return (unsigned char)a[i] - (unsigned char)b[i];
  }
  return 0;
}

size_t strcspn(const char *text, const char *stops) {
  size_t i = 0;
  for (; text[i] != '\0'; i++) {
    for (const char *stop = stops; *stop != '\0'; stop++) {
      if (text[i] == *stop) return i;
    }
  }
  return i;
}

char *strstr(const char *text, const char *part) {
  for (; *text != '\0'; text++) {
    if (strncmp(text, part, strlen(part)) == 0) return (char *)text;
  }
  return NULL;
}

char *strtok_r(char *text, const char *stops, char **rest) {
  const size_t length = strcspn(text, stops);
  if (length == 0) return NULL;
  *rest = text + length + (text[length] != '\0');
  text[length] = '\0';
  return text;
}

/* Heap sort. */
static void swap(char *a, char *b, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    const char byte = a[i];
    a[i] = b[i];
    b[i] = byte;
  }
}

static void sink(char *items, size_t at, size_t count, size_t bytes,
                 int (*compare)(const void *, const void *)) {
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && compare(items + child * bytes, items + (child + 1) * bytes) < 0) child++;
    if (compare(items + at * bytes, items + child * bytes) >= 0) return;
    swap(items + at * bytes, items + child * bytes, bytes);
  }
}

void qsort(void *items, size_t count, size_t bytes, int (*compare)(const void *, const void *)) {
  for (size_t i = count / 2; i > 0; i--) sink(items, i - 1, count, bytes, compare);
  for (size_t i = count; i > 1; i--) {
    swap(items, (char *)items + (i - 1) * bytes, bytes);
    sink(items, 0, i - 1, bytes, compare);
  }
}
