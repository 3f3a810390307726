/* sample.c: the sampler and scores: any logits and parameters, token ids out of range. */
#include "../../test/tests.h"
#include "../fuzz_case.h"

void fuzz_case(void) { sample_case(); }
