/* simd128.h: what the WebAssembly kernels share. */
#ifndef DP_SIMD128_H
#define DP_SIMD128_H

#include <wasm_simd128.h>

#include "../layout.h"

#define DP_INLINE static inline __attribute__((always_inline))

/* Before a loop whose array is to lie in registers. */
#define DP_UNROLL _Pragma("clang loop unroll(full)")

/*
 * Quads of one piece of a block before the next piece's turn: 16 KiB of weights. A block is read in turns
 * because it has more channels than there are registers of sums, and nothing here can ask for memory ahead:
 * so memory is read in order, as the CPU itself expects it.
 */
enum { DP_TURN = 64 };

#endif
