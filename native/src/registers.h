/*
 * registers.h: what keeps a kernel's sums in registers: loops without a counter, in functions that are compiled once
 * for each count that they are called with.
 */
#ifndef DP_REGISTERS_H
#define DP_REGISTERS_H

/* A function some of whose arguments are known to the compiler. */
#define DP_INLINE static inline __attribute__((always_inline))

/* Before a loop whose array is to lie in registers; and before one of few turns, of which several would take too many. */
#if defined(__clang__)
#define DP_UNROLL _Pragma("clang loop unroll(full)")
#define DP_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define DP_UNROLL _Pragma("GCC unroll 24")
#define DP_ROLLED _Pragma("GCC unroll 1")
#endif

/* Runs CALL(c) with `count` as a constant c, 1 to 3, 4, 6 or 12. */
#define DP_CASE(c, CALL) \
  case c: CALL(c); break;
#define DP_CASES_2(CALL) DP_CASE(1, CALL) DP_CASE(2, CALL)
#define DP_CASES_3(CALL) DP_CASES_2(CALL) DP_CASE(3, CALL)
#define DP_CASES_5(CALL) DP_CASES_3(CALL) DP_CASE(4, CALL) DP_CASE(5, CALL)
#define DP_CASES_8(CALL) DP_CASES_5(CALL) DP_CASE(6, CALL) DP_CASE(7, CALL) DP_CASE(8, CALL)
#define DP_CASES_11(CALL) DP_CASES_8(CALL) DP_CASE(9, CALL) DP_CASE(10, CALL) DP_CASE(11, CALL)

#define DP_OTHERS(c, CALL) \
  default: CALL(c); break;

#define DP_SWITCH_3(count, CALL) \
  switch (count) { DP_CASES_2(CALL) DP_OTHERS(3, CALL) }
#define DP_SWITCH_4(count, CALL) \
  switch (count) { DP_CASES_3(CALL) DP_OTHERS(4, CALL) }
#define DP_SWITCH_6(count, CALL) \
  switch (count) { DP_CASES_5(CALL) DP_OTHERS(6, CALL) }
#define DP_SWITCH_12(count, CALL) \
  switch (count) { DP_CASES_11(CALL) DP_OTHERS(12, CALL) }

#endif
