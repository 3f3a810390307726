/* exp_limits.c: apart from who uses them, so that no compiler sees their values; see kernels/float/exp.h. */
#include "kernels/float/exp.h"

const float dp_exp_least = -87.0f, dp_exp_most = 88.0f;
