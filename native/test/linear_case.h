/* linear_case.h: a random Linear with its expected result, and the programs that compute it. */
#ifndef DP_LINEAR_CASE_H
#define DP_LINEAR_CASE_H

#include "../include/dotpool.h"
#include "tester.h"

typedef struct linear_case {
  uint32_t m, n, k;
  dp_type x_type, y_type;
  bool quantises;           /* or multiplies float activations as they are */
  uint32_t outliers;        /* per row, at most */
  dp_activation activation; /* the input is activation(x) * u, unless this is none */
  bool has_bias;
  dp_type w_type;             /* int8, or int4 */
  block nibbles, multipliers; /* of int4 */
  block w, tiles, col_sum, scale, bias, x, u, expected;
} linear_case;

/* Activations of any type to any type, quantised, gated and quantised, or taken as they are. */
linear_case make_linear_case(uint32_t m, uint32_t n, uint32_t k);

/* int8 times int8 to int32. */
linear_case make_integer_case(uint32_t m, uint32_t n, uint32_t k);

void free_linear_case(linear_case *linear);

enum { CALL_OPS_MAX = 5, CALL_RESULTS_MAX = 3 };

/* One program for a case, and the memory it writes. */
typedef struct linear_call {
  const linear_case *linear;
  dp_op ops[CALL_OPS_MAX];
  uint32_t op_count;
  uint32_t results; /* how often the multiplication is done, with a result each */
  bool scattered;   /* rows are shuffled: tables tell where each is */
  block y[CALL_RESULTS_MAX], y_table[CALL_RESULTS_MAX], x_copy, x_table;
  block xq, x_scale, tiles, col_sum;
} linear_call;

/*
 * One of the ways to run a case: one op or two, packing before or not, with tables of rows or not, one multiplication
 * or several.
 */
linear_call make_linear_call(const linear_case *linear);
void free_linear_call(linear_call *call);

/* Checks results and edges. */
void check_linear_call(const linear_call *call, const char *where);

/* Whether the program wrote none of its results. */
bool is_untouched(const linear_call *call);

/* Checks only that nothing beside the call's memory was written. */
void check_edges(const linear_call *call, const char *where);

#endif
