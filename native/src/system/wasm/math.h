/* math.h: what the sources use of it, which is one instruction. */
#ifndef DP_WASM_MATH_H
#define DP_WASM_MATH_H

static inline float sqrtf(float x) { return __builtin_sqrtf(x); }

#endif
