/* attention.c: ROTATE, ATTEND and MERGE, with positions and page tables that are not all sound. */
#include "../../test/tests.h"
#include "../fuzz_case.h"

void fuzz_case(void) { attend_case(); }
