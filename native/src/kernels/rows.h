/*
 * rows.h: a kernel compiled once for each number of rows, so that the compiler knows it and keeps every row's sums in
 * registers.
 */
#ifndef DP_ROWS_H
#define DP_ROWS_H

/* Runs CALL(n) with `rows` as a constant n, 1 to 3, 4, 6 or 12. */
#define DP_ROW_CASE(n, CALL) \
  case n: CALL(n); break;
#define DP_CASES_2(CALL) DP_ROW_CASE(1, CALL) DP_ROW_CASE(2, CALL)
#define DP_CASES_3(CALL) DP_CASES_2(CALL) DP_ROW_CASE(3, CALL)
#define DP_CASES_5(CALL) DP_CASES_3(CALL) DP_ROW_CASE(4, CALL) DP_ROW_CASE(5, CALL)
#define DP_CASES_11(CALL)                                                                \
  DP_CASES_5(CALL) DP_ROW_CASE(6, CALL) DP_ROW_CASE(7, CALL) DP_ROW_CASE(8, CALL)        \
  DP_ROW_CASE(9, CALL) DP_ROW_CASE(10, CALL) DP_ROW_CASE(11, CALL)

#define DP_SWITCH_ROWS_3(rows, CALL) switch (rows) { DP_CASES_2(CALL) default: CALL(3); break; }
#define DP_SWITCH_ROWS_4(rows, CALL) switch (rows) { DP_CASES_3(CALL) default: CALL(4); break; }
#define DP_SWITCH_ROWS_6(rows, CALL) switch (rows) { DP_CASES_5(CALL) default: CALL(6); break; }
#define DP_SWITCH_ROWS_12(rows, CALL) switch (rows) { DP_CASES_11(CALL) default: CALL(12); break; }

#endif
