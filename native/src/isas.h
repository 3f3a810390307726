/*
 * isas.h: the one list of ISAs and of their GEMM kernels. dispatch.c makes its table of it and kernel_table.h
 * declarations; the Makefile takes from it what to build and with which flags, and npm run kernels:report the tables
 * of native/ISAS.md. Whoever includes it defines what the lines are to become:
 *
 *   DP_LIST_GEMM(tile, isa, ...)  dp_gemm_s8_TILE_ISA, and what else dp_gemm_tile says of it
 *   DP_LIST_S4(tile, isa, gemv, ...)  dp_gemm_s4_TILE_ISA, whose dp_gemv_s4_1x64c8 stands beside it, and what else
 *     dp_s4_kernels says of them
 *   DP_LIST_ISA(isa, rows, activations, bytes, gemv, gemm, few, s4, ...)  widest first: whose kernels serve for rows and
 *     for the format of activations, the bytes of one, whose GEMV, the GEMM for many rows and for few, whose kernels of
 *     weights of four bits, compiler flags
 *
 * An ISA whose rows are another one's only multiplies. Lines are not formatted, for compiler flags are no expressions.
 */
/* clang-format off */
#ifdef DP_MAKE
#define DP_LIST_ISA(isa, rows, activations, bytes, gemv, gemm, few, s4, ...) isa:rows:__VA_ARGS__
#endif
#ifndef DP_LIST_GEMM
#define DP_LIST_GEMM(tile, isa, ...)
#endif
#ifndef DP_LIST_S4
#define DP_LIST_S4(tile, isa, gemv, ...)
#endif
#ifndef DP_LIST_ISA
#define DP_LIST_ISA(isa, rows, activations, bytes, gemv, gemm, few, s4, ...)
#endif

#if defined(__x86_64__)
DP_LIST_GEMM(32x64c4, amx, .mr = 32, .unit = 32, .rows_stay = true, .stream_row = dp_stream_row_amx, .end = dp_end_gemm_amx)
DP_LIST_GEMM(6x64c4, avx512vnni, .mr = 6, .unit = 1)
DP_LIST_GEMM(12x32c4, avx512vnni, .mr = 12, .unit = 1)
DP_LIST_GEMM(6x16c4, avxvnni, .mr = 64, .unit = 1)
DP_LIST_GEMM(6x16c4, avx2, .mr = 64, .unit = 1, .widen_outliers = dp_widen_outliers_avx2)
DP_LIST_GEMM(4x16c4, avx2, .mr = 16, .unit = 1, .symmetric = true)
DP_LIST_S4(12x32c8, avx512vnni, avx512vnni, .mr = 12, .most = 24)
DP_LIST_S4(6x16c8, avxvnni, avxvnni, .mr = 6, .most = 12)
DP_LIST_S4(6x16c8, avx2, avx2, .mr = 64, .most = UINT32_MAX)
DP_LIST_ISA(amx, avx512vnni, avx512vnni, 1, avx512vnni, 32x64c4_amx, 12x32c4_avx512vnni, avx512vnni,-mavx512f,-mamx-tile,-mamx-int8)
DP_LIST_ISA(avx512vnni, avx512vnni, avx512vnni, 1, avx512vnni, 6x64c4_avx512vnni, 12x32c4_avx512vnni, avx512vnni,-mavx512f,-mavx512bw,-mavx512vl,-mavx512vnni)
DP_LIST_ISA(avxvnni, avx2, avxvnni, 1, avxvnni, 6x16c4_avxvnni, 6x16c4_avxvnni, avxvnni,-mavx2,-mavxvnni)
DP_LIST_ISA(avx2, avx2, avx2, 3, avx2, 6x16c4_avx2, 4x16c4_avx2, avx2,-mavx2)
#elif defined(__aarch64__)
DP_LIST_GEMM(12x8c4, i8mm, .mr = 12, .unit = 1)
DP_LIST_GEMM(6x16c4, dotprod, .mr = 6, .unit = 1)
DP_LIST_GEMM(3x16c4, neon, .mr = 3, .unit = 1)
DP_LIST_S4(12x8c8, i8mm, dotprod, .mr = 12, .most = 12)
DP_LIST_S4(6x16c8, dotprod, dotprod, .mr = 6, .most = 8)
DP_LIST_ISA(i8mm, neon, neon, 1, dotprod, 12x8c4_i8mm, 12x8c4_i8mm, i8mm,-march=armv8.2-a+i8mm)
DP_LIST_ISA(dotprod, neon, neon, 1, dotprod, 6x16c4_dotprod, 6x16c4_dotprod, dotprod,-march=armv8.2-a+dotprod)
DP_LIST_ISA(neon, neon, neon, 1, neon, 3x16c4_neon, 3x16c4_neon, none,)
#endif
#if !defined(__wasm__) || defined(DP_PORTABLE_TOO)
DP_LIST_GEMM(1x64c4, scalar, .mr = 1, .unit = 1)
DP_LIST_ISA(scalar, scalar, scalar, 1, scalar, 1x64c4_scalar, 1x64c4_scalar, none,)
#endif
#if defined(__wasm__)
DP_LIST_GEMM(6x8c4, wasmrelaxed, .mr = 6, .unit = 1)
DP_LIST_GEMM(4x4c4, wasm, .mr = 4, .unit = 1)
DP_LIST_S4(3x8c8, wasmrelaxed, wasmrelaxed, .mr = 3, .most = 3)
DP_LIST_S4(3x4c8, wasm, wasm, .mr = 3, .most = 3)
DP_LIST_ISA(wasmrelaxed, wasm, wasmrelaxed, 1, wasmrelaxed, 6x8c4_wasmrelaxed, 6x8c4_wasmrelaxed, wasmrelaxed,-mrelaxed-simd)
DP_LIST_ISA(wasm, wasm, wasm, 2, wasm, 4x4c4_wasm, 4x4c4_wasm, wasm,)
#endif

#undef DP_LIST_GEMM
#undef DP_LIST_S4
#undef DP_LIST_ISA
