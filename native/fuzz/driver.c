/*
 * driver.c: the entry point of libFuzzer. Its bytes replace the random choices of the C tests: the ISA, shapes, types,
 * tables, row numbers, and how many workers share the work. Results are compared with the oracle, faults with the
 * injected mistakes, and memory is guarded by ASan and by forbidden pages.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../include/dotpool.h"
#include "../test/tester.h"
#include "fuzz_case.h"

static const char *isas[16];
static uint32_t isa_count;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  for (uint32_t i = 0; dp_isa_name(i) != NULL; i++) {
    if (dp_isa_obstacle(i) == NULL) isas[isa_count++] = dp_isa_name(i);
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  script_random(data, size);
  dp_select_isa(isas[random_between(0, isa_count - 1)]);
  fuzz_case();
  if (!all_passed()) abort();
  return 0;
}
