/* dispatch.c: the kernel table and which of its rows can run here. */
#include <string.h>

#include "cpu.h"
#include "kernel_table.h"

/* The rest of the arguments, if this library has the kernels of an ISA: the Makefile says so of those in isas.h. */
#define DP_IF_BUILT(isa, ...) DP_IF(DP_BUILT_##isa, __VA_ARGS__)
#define DP_IF_NOT_BUILT(isa, ...) DP_IF_NOT(DP_BUILT_##isa, __VA_ARGS__)
#define DP_IF(built, ...) DP_IF_(built, __VA_ARGS__)
#define DP_IF_(built, ...) DP_IF_##built(__VA_ARGS__)
#define DP_IF_1(...) __VA_ARGS__
#define DP_IF_0(...)
#define DP_IF_NOT(built, ...) DP_IF_NOT_(built, __VA_ARGS__)
#define DP_IF_NOT_(built, ...) DP_IF_NOT_##built(__VA_ARGS__)
#define DP_IF_NOT_0(...) __VA_ARGS__
#define DP_IF_NOT_1(...)

#define DP_LIST_GEMM(tile, isa, ...) \
  DP_IF_BUILT(isa, static const dp_gemm_tile tile_##tile##_##isa = {.run = dp_gemm_s8_##tile##_##isa, __VA_ARGS__};)
#define DP_LIST_S4(tile, isa, gemv_isa, ...)               \
  DP_IF_BUILT(isa, static const dp_s4_kernels s4_##isa = { \
                       .gemv = dp_gemv_s4_1x64c8_##gemv_isa, .gemm = dp_gemm_s4_##tile##_##isa, __VA_ARGS__};)
#include "isas.h"
static const dp_s4_kernels s4_none __attribute__((unused)); /* where each ISA has its own */

#define DP_ASSIGN(isa, type, name) .name = dp_##name##_##isa,

/* Widest first: the first that can run here is the default. */
static const dp_kernels table[] = {
#define DP_LIST_ISA(name, rows, activations, bytes, gemv_isa, many, few, four, ...)                           \
  {.isa = #name,                                                                                              \
   DP_IF_NOT_BUILT(name, .obstacle = dp_obstacle_unbuilt) DP_IF_BUILT(                                        \
       name, .obstacle = dp_obstacle_##name, .activation_bytes = bytes, .gemv = dp_gemv_s8_1x64c4_##gemv_isa, \
       .gemm = &tile_##many, .gemm_few = &tile_##few, .s4 = &s4_##four, .peak = dp_peak_##name,               \
       DP_ACTIVATION_KERNELS(DP_ASSIGN, activations) DP_ROW_KERNELS(DP_ASSIGN, rows))},
#include "isas.h"
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

const char *dp_isa_obstacle(uint32_t index) { return index < TABLE_LENGTH ? table[index].obstacle() : NULL; }

/* A line more than the row and its outliers need, because rows a multiple of 4 KiB apart would share cache sets. */
size_t dp_row_stride(const dp_kernels *kernels, size_t k) {
  const size_t bytes = dp_quads(k) * DP_KR * kernels->activation_bytes;
  return (bytes + DP_CACHE_LINE - 1) / DP_CACHE_LINE * DP_CACHE_LINE + sizeof(dp_outliers) + DP_CACHE_LINE;
}
