/* fuzz_case.h: what a file of targets/ gives the driver. */
#ifndef DP_FUZZ_CASE_H
#define DP_FUZZ_CASE_H

/* Draws one case and checks it. */
void fuzz_case(void);

#endif
