/* linear_case.h: a random Linear with its expected result, and the programs that must give it. */
#ifndef DP_LINEAR_CASE_H
#define DP_LINEAR_CASE_H

#include "../include/dotpool.h"
#include "tester.h"

typedef struct linear_case {
  uint32_t m, n, k;
  dp_type x_type, y_type;
  block w, tiles, col_sum, scale, bias, x, expected;
  bool has_bias;
} linear_case;

/* Float activations of any types, or int8 to int32; weights packed by the oracle. */
linear_case make_linear_case(uint32_t m, uint32_t n, uint32_t k);
linear_case make_integer_case(uint32_t m, uint32_t n, uint32_t k);
void free_linear_case(linear_case *linear);

/* One program for a case, and the memory it writes. */
typedef struct linear_call {
  const linear_case *linear;
  dp_op ops[3];
  uint32_t op_count;
  block y, xq, x_scale, tiles, col_sum;
} linear_call;

/* As GEMV, or quantise and GEMM; now and then the program packs the weights for itself before. */
linear_call make_linear_call(const linear_case *linear);
void free_linear_call(linear_call *call);

/* Checks result and edges. */
void check_linear_call(const linear_call *call, const char *where);

/* Whether the program wrote nothing at all of its result. */
bool is_untouched(const linear_call *call);

/* Only that nothing beside the memory of the call was written. */
void check_edges(const linear_call *call, const char *where);

#endif
