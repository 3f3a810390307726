/* test_abi.c: what JavaScript relies on before anything runs: names, strides, alignment. */
#include <string.h>

#include "../src/kernel_table.h"
#include "tester.h"
#include "tests.h"

/* The ISA that every machine has. */
#ifdef __wasm__
#define PLAINEST "wasm"
#else
#define PLAINEST "scalar"
#endif

static void test_selection(void) {
  check(dp_select_isa("nonsense") == -1, "an unknown ISA was selected");
  check(dp_select_isa("") == -1, "an ISA without a name was selected");
  check(dp_select_isa(NULL) == 0, "no ISA is the default");
  uint32_t widest = 0, length = 0;
  while (dp_isa_obstacle(widest) != NULL) widest++;
  check(strcmp(dp_isa(), dp_isa_name(widest)) == 0, "%s is the default", dp_isa());
  for (const char *isa; (isa = dp_isa_name(length)) != NULL; length++) {
    const bool runs = dp_isa_obstacle(length) == NULL;
    check((dp_select_isa(isa) == 0) == runs, "selecting %s, which can run: %d", isa, runs);
  }
  check(dp_isa_obstacle(length) == NULL && dp_isa_name(UINT32_MAX) == NULL, "an ISA past the last");
  check(dp_select_isa(PLAINEST) == 0 && strcmp(dp_isa(), PLAINEST) == 0, PLAINEST " was not selected");
}

static void test_strides(void) {
  for (uint32_t k = 1; k <= 300; k++) {
    const uint64_t stride = dp_row_stride(dp_active_kernels(), k);
    check(stride % DP_CACHE_LINE == 0, "row stride %llu of K %u", (unsigned long long)stride, k);
    check(stride >= dp_quads(k) * DP_KR * dp_active_kernels()->activation_bytes,
          "row stride %llu is too short for K %u", (unsigned long long)stride, k);
  }
}

static void test_region_memory(void) {
  for (uint32_t threads = 1; threads <= DP_MAX_WORKERS; threads *= 4) {
    const uint64_t bytes = dp_region_bytes(threads);
    block memory = make_input(bytes, 64);
    memset(memory.at, 0, bytes);
    dp_region *region = memory.at;
    dp_region_init(region, threads);
    for (uint32_t w = 0; w <= threads; w++) {
      const uint64_t scratch = region->workers[w].scratch - (uint64_t)(uintptr_t)region;
      check(scratch % DP_CACHE_LINE == 0 && scratch >= sizeof *region &&
                scratch + dp_row_stride(dp_active_kernels(), DP_MAX_K) <= bytes,
            "scratch of worker %u of %u is at %llu", w, threads, (unsigned long long)scratch);
    }
    free_block(&memory);
  }
}

static void test_huge_pages(void) {
  block memory = make_input(8 << 20, 64);
  check(dp_advise_huge_pages(memory.at, 1) != 0, "huge pages in less than a page");
  const int problem = dp_advise_huge_pages(memory.at, memory.bytes);
  check(problem >= 0, "advice returned %d", problem);
  free_block(&memory);
}

void test_abi(void) {
  test_selection();
  test_strides();
  test_region_memory();
  test_huge_pages();
  report("abi");
}
