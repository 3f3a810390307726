/* simd128.h: what the WebAssembly kernels share. */
#ifndef DP_SIMD128_H
#define DP_SIMD128_H

#include <wasm_simd128.h>

#include "../registers.h"
#include "../tiles.h"

/*
 * A load whose value is not used stands in for the prefetch that WebAssembly lacks. In the order of memory: the
 * CPU goes on by itself then. Unlike a prefetch it must not leave the memory.
 */
DP_INLINE void dp_touch(const int8_t *at) { (void)*(const volatile int8_t *)at; }

#endif
