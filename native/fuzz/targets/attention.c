/* attention.c: ROTATE, ATTEND and MERGE, some with invalid positions and page tables. */
#include "../../test/tests.h"
#include "../fuzz_case.h"

void fuzz_case(void) { attend_case(); }
