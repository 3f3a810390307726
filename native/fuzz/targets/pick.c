/* pick.c: The sampler and scores: any logits and parameters, token ids that are not there. */
#include "../../test/tests.h"
#include "../fuzz_case.h"

void fuzz_case(void) { pick_case(); }
