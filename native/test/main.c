/*
 * main.c: one tester for all kernels. It compares every kernel of every ISA that this CPU runs with oracle.c, bit by
 * bit; then the region runs programs on threads. DP_TEST_SEED repeats a run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../include/dotpool.h"
#include "tester.h"
#include "tests.h"

static uint64_t choose_seed(void) {
  const char *wanted = getenv("DP_TEST_SEED");
  if (wanted != NULL) return strtoull(wanted, NULL, 10);
  return (uint64_t)time(NULL);
}

/* Kernels run on one thread each, so the thread sanitizer would only make them slow. */
#ifdef __SANITIZE_THREAD__
static void test_kernels(void) {}
#else
static void test_kernels(void) {
  test_load_row();
  test_quantize_row();
  test_outliers();
  test_gemv();
  test_gemm();
  test_stream();
  test_epilogue();
  test_pack();
  test_quantize_pack();
  test_int4();
  test_search();
  test_gate();
  test_float_dot();
  test_attention();
  test_rooflines();
  test_ops();
  test_embed();
  test_norm();
  test_dense();
  test_sample();
}
#endif

/* Only JavaScript can create threads of WebAssembly. */
#ifdef __wasm__
void test_region_threads(void) {}
#endif

int main(void) {
  const uint64_t seed = choose_seed();
  printf("DP_TEST_SEED=%llu\n", (unsigned long long)seed);
  seed_random(seed);

  test_abi();
  test_map_file();
  const char *isa;
  for (uint32_t i = 0; (isa = dp_isa_name(i)) != NULL; i++) {
    if (dp_isa_obstacle(i) != NULL) {
      printf("%s: %s\n", isa, dp_isa_obstacle(i));
      continue;
    }
    if (!check(dp_select_isa(isa) == 0, "nothing keeps %s from running, but it cannot be selected", isa)) continue;
    test_kernels();
    test_region();
    test_region_threads();
  }
  return conclude();
}
