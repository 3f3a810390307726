/* token.c: EMBED, NORM and DENSE, with token ids, sampled ones and rows, some of them out of range. */
#include "../../test/tester.h"
#include "../../test/tests.h"
#include "../fuzz_case.h"

void fuzz_case(void) {
  static void (*const cases[])(void) = {embed_case, norm_case, dense_case};
  cases[random_between(0, sizeof cases / sizeof *cases - 1)]();
}
