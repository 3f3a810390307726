/* dispatch.c: the kernel table and which of its rows can run here. */
#include <string.h>

#include "cpu.h"
#include "kernel_table.h"

/* What knows how a quantised activation is stored, beside what multiplies them. */
#define DP_ACTIVATION_KERNELS(isa)                                                       \
  .quantize_row_f32 = dp_quantize_row_f32_##isa,                                         \
  .quantize_row_bf16 = dp_quantize_row_bf16_##isa, .load_row_s8 = dp_load_row_s8_##isa

/* What does not. */
#define DP_ROW_KERNELS(isa)                                                              \
  .epilogue_f32 = dp_epilogue_f32_##isa,                                                 \
  .epilogue_bf16 = dp_epilogue_bf16_##isa, .gate_f32 = dp_gate_f32_##isa,                \
  .gate_bf16 = dp_gate_bf16_##isa, .load_row_float = dp_load_row_float_##isa,            \
  .dot_float = dp_dot_float_64c4_##isa, .finish_f32 = dp_finish_f32_##isa,               \
  .finish_bf16 = dp_finish_bf16_##isa, .rotate = dp_rotate_##isa,                        \
  .store_kv = dp_store_kv_##isa, .attend_page = dp_attend_page_##isa,                    \
  .merge_part = dp_merge_part_##isa, .finish_part = dp_finish_part_##isa,                \
  .split_outliers = dp_split_outliers_##isa, .add_outliers = dp_add_outliers_##isa,      \
  .pack_block_s8 = dp_pack_block_s8_##isa,                                               \
  .pack_block_transposed_s8 = dp_pack_block_transposed_s8_##isa,                         \
  .quantize_pack_block = dp_quantize_pack_block_##isa, .read = dp_read_##isa,            \
  .embed = dp_embed_##isa,                                                               \
  .rms_norm = dp_rms_norm_##isa, .dense_f32 = dp_dense_f32_##isa,                        \
  .dense_bf16 = dp_dense_bf16_##isa, .draw = dp_draw_##isa, .score = dp_score_##isa

/* Widest first: the first that can run here is the default. */
static const dp_kernels table[] = {
#if defined(__x86_64__)
#if defined(DP_BUILT_amx)
    {
        .isa = "amx",
        .obstacle = dp_obstacle_amx,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_avx512vnni,
        .gemm = {.run = dp_gemm_s8_32x64c4_amx,
                 .mr = 32,
                 .unit = 32,
                 .rows_stay = true,
                 .stream_row = dp_stream_row_amx,
                 .end = dp_end_gemm_amx},
        .gemm_few = {.run = dp_gemm_s8_12x32c4_avx512vnni, .mr = 12, .unit = 1},
        .peak = dp_peak_amx,
        DP_ACTIVATION_KERNELS(avx512vnni),
        DP_ROW_KERNELS(avx512vnni),
    },
#else
    {.isa = "amx", .obstacle = dp_obstacle_unbuilt},
#endif
    {
        .isa = "avx512vnni",
        .obstacle = dp_obstacle_avx512vnni,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_avx512vnni,
        .gemm = {.run = dp_gemm_s8_6x64c4_avx512vnni, .mr = 6, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_12x32c4_avx512vnni, .mr = 12, .unit = 1},
        .peak = dp_peak_avx512vnni,
        DP_ACTIVATION_KERNELS(avx512vnni),
        DP_ROW_KERNELS(avx512vnni),
    },
#if defined(DP_BUILT_avxvnni)
    {
        .isa = "avxvnni",
        .obstacle = dp_obstacle_avxvnni,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_avxvnni,
        .gemm = {.run = dp_gemm_s8_6x16c4_avxvnni, .mr = 64, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_6x16c4_avxvnni, .mr = 64, .unit = 1},
        .peak = dp_peak_avxvnni,
        DP_ACTIVATION_KERNELS(avxvnni),
        DP_ROW_KERNELS(avx2),
    },
#else
    {.isa = "avxvnni", .obstacle = dp_obstacle_unbuilt},
#endif
    {
        .isa = "avx2",
        .obstacle = dp_obstacle_avx2,
        .activation_bytes = 3, /* bytes and words */
        .gemv = dp_gemv_s8_1x64c4_avx2,
        .widen_outliers = dp_widen_outliers_avx2,
        .gemm = {.run = dp_gemm_s8_6x16c4_avx2, .mr = 64, .unit = 1, .wide = true},
        .gemm_few = {.run = dp_gemm_s8_4x16c4_avx2, .mr = 16, .unit = 1, .symmetric = true},
        .peak = dp_peak_avx2,
        DP_ACTIVATION_KERNELS(avx2),
        DP_ROW_KERNELS(avx2),
    },
#elif defined(__aarch64__)
    {
        .isa = "i8mm",
        .obstacle = dp_obstacle_i8mm,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_dotprod,
        .gemm = {.run = dp_gemm_s8_12x8c4_i8mm, .mr = 12, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_12x8c4_i8mm, .mr = 12, .unit = 1},
        .peak = dp_peak_i8mm,
        DP_ACTIVATION_KERNELS(neon),
        DP_ROW_KERNELS(neon),
    },
    {
        .isa = "dotprod",
        .obstacle = dp_obstacle_dotprod,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_dotprod,
        .gemm = {.run = dp_gemm_s8_6x16c4_dotprod, .mr = 6, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_6x16c4_dotprod, .mr = 6, .unit = 1},
        .peak = dp_peak_dotprod,
        DP_ACTIVATION_KERNELS(neon),
        DP_ROW_KERNELS(neon),
    },
    {
        .isa = "neon",
        .obstacle = dp_obstacle_none,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_neon,
        .gemm = {.run = dp_gemm_s8_3x16c4_neon, .mr = 3, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_3x16c4_neon, .mr = 3, .unit = 1},
        .peak = dp_peak_neon,
        DP_ACTIVATION_KERNELS(neon),
        DP_ROW_KERNELS(neon),
    },
#elif defined(__wasm__)
#if defined(DP_BUILT_wasmrelaxed)
    {
        .isa = "wasmrelaxed",
        .obstacle = dp_obstacle_wasmrelaxed,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_wasmrelaxed,
        .gemm = {.run = dp_gemm_s8_6x8c4_wasmrelaxed, .mr = 6, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_6x8c4_wasmrelaxed, .mr = 6, .unit = 1},
        .peak = dp_peak_wasmrelaxed,
        DP_ACTIVATION_KERNELS(wasmrelaxed),
        DP_ROW_KERNELS(wasm),
    },
#else
    {.isa = "wasmrelaxed", .obstacle = dp_obstacle_wasmrelaxed},
#endif
    {
        .isa = "wasm",
        .obstacle = dp_obstacle_none,
        .activation_bytes = 2,
        .gemv = dp_gemv_s8_1x64c4_wasm,
        .gemm = {.run = dp_gemm_s8_4x4c4_wasm, .mr = 4, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_4x4c4_wasm, .mr = 4, .unit = 1},
        .peak = dp_peak_wasm,
        DP_ACTIVATION_KERNELS(wasm),
        DP_ROW_KERNELS(wasm),
    },
#endif
#if !defined(__wasm__)
    {
        .isa = "scalar",
        .obstacle = dp_obstacle_none,
        .activation_bytes = 1,
        .gemv = dp_gemv_s8_1x64c4_scalar,
        .gemm = {.run = dp_gemm_s8_1x64c4_scalar, .mr = 1, .unit = 1},
        .gemm_few = {.run = dp_gemm_s8_1x64c4_scalar, .mr = 1, .unit = 1},
        .peak = dp_peak_scalar,
        DP_ACTIVATION_KERNELS(scalar),
        DP_ROW_KERNELS(scalar),
    },
#endif
};

enum { TABLE_LENGTH = sizeof table / sizeof table[0] };

static _Atomic(const dp_kernels *) active;

int dp_select_isa(const char *name) {
  for (int i = 0; i < TABLE_LENGTH; i++) {
    /* the name first: to ask the CPU takes microseconds where a hypervisor answers */
    if (name != NULL && strcmp(name, table[i].isa) != 0) continue;
    if (table[i].obstacle() != NULL) continue;
    atomic_store(&active, &table[i]);
    return 0;
  }
  return -1;
}

const dp_kernels *dp_active_kernels(void) {
  const dp_kernels *kernels = atomic_load_explicit(&active, memory_order_acquire);
  if (kernels == NULL) {
    dp_select_isa(NULL);
    kernels = atomic_load(&active);
  }
  return kernels;
}

const char *dp_isa(void) { return dp_active_kernels()->isa; }

const char *dp_isa_name(uint32_t index) { return index < TABLE_LENGTH ? table[index].isa : NULL; }

const char *dp_isa_obstacle(uint32_t index) {
  return index < TABLE_LENGTH ? table[index].obstacle() : NULL;
}

/* A line more than the row and its outliers need, because rows a multiple of 4 KiB apart would share cache sets. */
size_t dp_row_stride(const dp_kernels *kernels, size_t k) {
  const size_t bytes = dp_quads(k) * DP_KR * kernels->activation_bytes;
  return (bytes + DP_CACHE_LINE - 1) / DP_CACHE_LINE * DP_CACHE_LINE + sizeof(dp_outliers) + DP_CACHE_LINE;
}
