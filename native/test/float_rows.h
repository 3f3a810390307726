/* float_rows.h: float weights in the layout of EMBED and DENSE: rows padded with zeros to 16 elements. */
#ifndef DP_FLOAT_ROWS_H
#define DP_FLOAT_ROWS_H

#include "../include/dotpool.h"
#include "tester.h"

typedef struct float_rows {
  dp_type type;
  size_t stride; /* elements */
  block memory;
} float_rows;

/* n rows of k values of many distributions; one row in `bad_one_in` has a NaN or an infinity. */
float_rows make_float_rows(uint32_t n, uint32_t k, uint32_t bad_one_in);

/* w[n, k] as a float. */
float float_rows_at(const float_rows *rows, size_t n, size_t k);

#endif
