/*
 * op.h: what the files of this folder give the interpreter: for every kind of op, how it is cut into
 * pieces and what runs a range of them. Pieces can be run by any worker in any order.
 */
#ifndef DP_OP_H
#define DP_OP_H

#include <stdbool.h>

#include "../kernel_table.h"
#include "../units.h"

#define POINTER(type, address) ((type *)(uintptr_t)(address))

typedef struct dp_op_type {
  /* How many pieces there are. */
  uint64_t (*pieces)(const dp_op *op, const dp_kernels *kernels, uint32_t threads);
  /* What one takes, in int8 multiply-adds that take as long. */
  uint64_t (*cost)(const dp_op *op, const dp_kernels *kernels, uint32_t threads);
  /* Runs pieces [first, last). Returns the bytes of weights that were read. */
  uint64_t (*run)(const dp_place *place, uint64_t first, uint64_t last);
  uint32_t grain;  /* pieces that belong together */
  uint32_t pinned; /* 1: every worker runs its own pieces and no other's */
} dp_op_type;

extern const dp_op_type dp_op_gemv, dp_op_quantize, dp_op_gemm, dp_op_float; /* linear.c */
extern const dp_op_type dp_op_rotate, dp_op_attend, dp_op_merge;             /* attention.c */
extern const dp_op_type dp_op_gate;                                          /* gate.c */
extern const dp_op_type dp_op_pack, dp_op_search_s4;                         /* pack.c */
extern const dp_op_type dp_op_read, dp_op_peak, dp_op_clock;                 /* roofline.c */
extern const dp_op_type dp_op_meet, dp_op_empty;                             /* roofline.c */
extern const dp_op_type dp_op_embed, dp_op_norm, dp_op_dense, dp_op_sample;  /* token.c */

enum { DP_CLAIM_MACS = 1 << 24 }; /* a claim is at most about this much work: well under 1 ms */

static inline uint64_t dp_divide_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

static inline uint32_t dp_at_least(uint64_t value, uint32_t least) {
  return value < least ? least : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* The pieces of ops that go row by row. */
static inline uint64_t dp_row_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) { return op->m; }

/* Row m of x or y: they lie one after the other, or wherever a table says. */
static inline char *dp_row_at(uint64_t base, uint32_t is_table, uint64_t m, size_t row_bytes) {
  return is_table ? POINTER(char, POINTER(const uint64_t, base)[m]) : POINTER(char, base) + m * row_bytes;
}

static inline char *dp_input_row(const dp_op *op, uint64_t m) {
  const dp_quantize_params *p = &op->quantize;
  return dp_row_at(p->x, op->flags & DP_X_ROWS, m, p->k * dp_type_bytes(p->x_type));
}

static inline char *dp_output_row(const dp_op *op, uint64_t m) {
  const dp_linear_params *p = &op->linear;
  return dp_row_at(p->y, op->flags & DP_Y_ROWS, m, p->n * dp_type_bytes(p->y_type));
}

/* Notes what is wrong with what the program was given: 1 + an index, or DP_BAD_ROW and a row. */
static inline void dp_note_fault(const dp_place *place, uint32_t fault) {
  uint32_t none = 0;
  atomic_compare_exchange_strong(place->fault, &none, fault);
}

/* A worker's own memory: a quantised row, a row of floats, and one of bfloat16. */
static inline void *dp_scratch_quantized(const dp_worker *worker) { return POINTER(void, worker->scratch); }

static inline float *dp_scratch_floats(const dp_place *place) {
  return POINTER(float, place->worker->scratch + dp_row_stride(place->kernels, DP_MAX_K));
}

static inline uint16_t *dp_scratch_halves(const dp_place *place) {
  return (uint16_t *)(dp_scratch_floats(place) + DP_MAX_K);
}

/* Where the halves lie, int8 tiles of a block: of as many k as there is room for, in whole groups. */
enum { DP_STRETCH_K = DP_MAX_K * sizeof(uint16_t) / DP_NR };

static inline int8_t *dp_scratch_tiles(const dp_place *place) { return (int8_t *)dp_scratch_halves(place); }

#endif
