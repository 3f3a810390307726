/* test_rooflines.c: the reading kernel reads all, and the multiplying kernel counts what it does. */
#include <string.h>

#include "../src/kernel_table.h"
#include "tester.h"
#include "tests.h"

void test_rooflines(void) {
  const dp_kernels *kernels = dp_active_kernels();
  const dp_read_order orders[] = {{1, 0}, {1, 4096}, {1, DP_PAGES_IN_TURN}, {4, 0}, {4, 512}};
  for (size_t bytes = 256; bytes <= 4096; bytes += 256) {
    block x = make_input(bytes, 64);
    uint64_t *words = x.at, sum = 0;
    for (size_t i = 0; i < bytes / sizeof *words; i++) sum += words[i] = random_bits() >> 16;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
      check(kernels->read(x.at, bytes, orders[i]) == sum, "read of %zu bytes by %u streams: the sum is wrong", bytes,
            orders[i].streams);
    }
    free_block(&x);
  }
  int32_t sink = 0;
  const uint64_t once = kernels->peak(64, &sink);
  check(once > 0 && kernels->peak(448, &sink) == 7 * once, "peak counts multiplies wrongly");
  report("rooflines %s", dp_isa());
}
