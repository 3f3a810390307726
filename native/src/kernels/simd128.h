/* simd128.h: what the WebAssembly kernels share. */
#ifndef DP_SIMD128_H
#define DP_SIMD128_H

#include <wasm_simd128.h>

#include "../layout.h"

#define DP_INLINE static inline __attribute__((always_inline))

/* Before a loop whose array is to lie in registers. */
#define DP_UNROLL _Pragma("clang loop unroll(full)")

#endif
