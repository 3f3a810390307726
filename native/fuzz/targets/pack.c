/* pack.c: weights into tiles: int8 by rows and by columns, floats quantised on the way, a channel that holds a NaN. */
#include "../../test/tests.h"
#include "../fuzz_case.h"

void fuzz_case(void) { packing_case(); }
