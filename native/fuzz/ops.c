/*
 * ops.c: libFuzzer over whole programs. Its bytes are what the C tests draw at random: the ISA, the kind of op, shapes,
 * types, tables, outliers, how many threads share the work, and values. Each result is held against the oracle, memory
 * by ASan and by pages that may not be touched.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../include/dotpool.h"
#include "../test/tester.h"
#include "../test/tests.h"

static void choose_isa(void) {
  const char *isas[16];
  uint32_t count = 0;
  for (uint32_t i = 0; dp_isa_name(i) != NULL; i++) {
    if (dp_isa_obstacle(i) == NULL) isas[count++] = dp_isa_name(i);
  }
  dp_select_isa(isas[random_between(0, count - 1)]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static void (*const cases[])(void) = {
      linear_op_case, packing_case, attend_case, embed_case, norm_case, dense_case, pick_case,
  };
  script_random(data, size);
  choose_isa();
  cases[random_between(0, sizeof cases / sizeof *cases - 1)]();
  if (!all_passed()) abort();
  return 0;
}
