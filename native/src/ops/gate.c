/* gate.c: what stands between the Linears of a gated MLP, where the next one does not quantise. */
#include "op.h"

/* ---- GATE: x[M, K], u[M, K] -> y[M, K]; pieces are rows ----------------------------------------- */

static uint64_t run_gate(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_gate_params *p = &place->op->gate;
  const size_t bytes = p->k * dp_type_bytes(p->type);
  dp_gate_fn *gate = p->type == DP_BF16 ? place->kernels->gate_bf16 : place->kernels->gate_f32;
  for (uint64_t m = first; m < last; m++) {
    gate(POINTER(const char, p->x) + m * bytes, POINTER(const char, p->u) + m * bytes, p->k,
         (dp_activation)p->activation, POINTER(char, p->y) + m * bytes);
  }
  return 0;
}

static uint64_t gate_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->gate.k * 32;
}

const dp_op_type dp_op_gate = {.pieces = dp_row_pieces, .cost = gate_cost, .run = run_gate, .grain = 1};
