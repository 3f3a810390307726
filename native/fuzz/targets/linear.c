/* linear.c: Linears, quantised, gated, with outliers or as floats: one op or two, from rows or tables of rows. */
#include "../../test/tests.h"
#include "../fuzz_case.h"

void fuzz_case(void) { linear_op_case(); }
