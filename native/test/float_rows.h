/* float_rows.h: float weights as EMBED and DENSE want them: rows padded to 16 elements with zeros. */
#ifndef DP_FLOAT_ROWS_H
#define DP_FLOAT_ROWS_H

#include "../include/dotpool.h"
#include "tester.h"

typedef struct float_rows {
  dp_type type;
  size_t stride; /* elements */
  block memory;
} float_rows;

/* n rows of k values of many characters; one value in `bad_one_in` rows is no number. */
float_rows make_float_rows(uint32_t n, uint32_t k, uint32_t bad_one_in);

/* w[n, k] as a float. */
float float_rows_at(const float_rows *rows, size_t n, size_t k);

#endif
