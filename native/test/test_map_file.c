/* test_map_file.c: files in memory. */
#include <stdio.h>
#include <string.h>

#include "../include/dotpool.h"
#include "tester.h"
#include "tests.h"

#ifdef __wasm__

void test_map_file(void) {
  dp_mapping mapping;
  check(dp_map_file("file", &mapping) != 0, "WebAssembly maps a file");
  report("map_file");
}

#else

static const char PATH[] = "dotpool-map-file.tmp";

static void write_file(const char *bytes, size_t count) {
  FILE *file = fopen(PATH, "wb");
  check(file != NULL && fwrite(bytes, 1, count, file) == count && fclose(file) == 0, "cannot write %s", PATH);
}

static void test_contents(void) {
  char bytes[5000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
  write_file(bytes, sizeof bytes);
  dp_mapping first, second;
  check(dp_map_file(PATH, &first) == 0 && dp_map_file(PATH, &second) == 0, "%s is not mapped twice", PATH);
  check(first.bytes == sizeof bytes, "%llu bytes are mapped", (unsigned long long)first.bytes);
  check(first.address % 4096 == 0, "the mapping is not aligned");
  check(memcmp((void *)(uintptr_t)first.address, bytes, sizeof bytes) == 0, "the mapping has other bytes");
  dp_unmap_file(&first);
  check(memcmp((void *)(uintptr_t)second.address, bytes, sizeof bytes) == 0, "the second mapping went with the first");
  dp_unmap_file(&second);
}

static void test_refused(void) {
  dp_mapping mapping;
  write_file("", 0);
  check(dp_map_file(PATH, &mapping) != 0, "an empty file was mapped");
  remove(PATH);
  check(dp_map_file(PATH, &mapping) != 0, "a missing file was mapped");
  check(dp_map_file(".", &mapping) != 0, "a folder was mapped");
}

void test_map_file(void) {
  test_contents();
  test_refused();
  report("map_file");
}

#endif
