/* fuzz_case.h: the interface of a file in targets/ to the driver. */
#ifndef DP_FUZZ_CASE_H
#define DP_FUZZ_CASE_H

/* Runs and checks one random case. */
void fuzz_case(void);

#endif
