/* gate.c: what stands between the Linears of a gated MLP, where the next one does not quantise. */
#include "op.h"

/* ---- GATE: x[M, K], u[M, K] -> y[M, K]; pieces are rows ----------------------------------------- */

static uint64_t run_gate(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op *op = place->op;
  const size_t bytes = op->k * dp_type_bytes(op->x_type);
  dp_gate_fn *gate = op->x_type == DP_BF16 ? place->kernels->gate_bf16 : place->kernels->gate_f32;
  for (uint64_t m = first; m < last; m++) {
    gate(POINTER(const char, op->x) + m * bytes, POINTER(const char, op->u) + m * bytes, op->k,
         (dp_activation)op->activation, POINTER(char, op->y) + m * bytes);
  }
  return 0;
}

static uint64_t gate_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->k * 32;
}

const dp_op_type dp_op_gate = {
    .pieces = dp_row_pieces, .cost = gate_cost, .run = run_gate, .grain = 1};
