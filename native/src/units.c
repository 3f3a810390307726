/* units.c: plans and runs the units of an op by its kind; region.c decides which worker runs which. */
#include "units.h"

#include "ops/op.h"

enum { LEAST_MACS = 1 << 16 }; /* a claim is at least this, some microseconds, where grains allow */

static const dp_op_type *const types[] = {
    [DP_OP_EMPTY] = &dp_op_empty,
    [DP_OP_GEMV] = &dp_op_gemv,
    [DP_OP_QUANTIZE] = &dp_op_quantize,
    [DP_OP_GEMM] = &dp_op_gemm,
    [DP_OP_PACK] = &dp_op_pack,
    [DP_OP_QUANTIZE_PACK] = &dp_op_pack,
    [DP_OP_PACK_TRANSPOSED] = &dp_op_pack,
    [DP_OP_PACK_S4] = &dp_op_pack,
    [DP_OP_SEARCH_S4] = &dp_op_search_s4,
    [DP_OP_READ] = &dp_op_read,
    [DP_OP_PEAK] = &dp_op_peak,
    [DP_OP_MEET] = &dp_op_meet,
    [DP_OP_FLOAT] = &dp_op_float,
    [DP_OP_ROTATE] = &dp_op_rotate,
    [DP_OP_ATTEND] = &dp_op_attend,
    [DP_OP_MERGE] = &dp_op_merge,
    [DP_OP_GATE] = &dp_op_gate,
    [DP_OP_EMBED] = &dp_op_embed,
    [DP_OP_NORM] = &dp_op_norm,
    [DP_OP_DENSE] = &dp_op_dense,
    [DP_OP_SAMPLE] = &dp_op_sample,
    [DP_OP_CLOCK] = &dp_op_clock,
};

uint64_t dp_scratch_bytes(const dp_kernels *kernels) {
  return dp_row_stride(kernels, DP_MAX_K) + DP_MAX_K * (sizeof(float) + sizeof(uint16_t));
}

dp_plan dp_plan_op(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  const dp_op_type *type = types[op->kind];
  const uint64_t pieces = type->pieces(op, kernels, threads);
  dp_plan plan = {.grain = type->grain, .pinned = type->pinned};
  plan.span = dp_at_least(dp_divide_up(pieces, DP_MAX_UNITS), 1);
  /* an op without pieces, such as one of no rows, has one unit all the same: a worker has to complete it */
  plan.units = dp_at_least(dp_divide_up(pieces, plan.span), 1);
  plan.macs = dp_at_least(type->cost(op, kernels, threads) * plan.span, 1);
  plan.least = dp_at_least(LEAST_MACS / plan.macs, 1);
  if (plan.least > plan.grain) plan.least = plan.grain;
  plan.cap = dp_at_least(DP_CLAIM_MACS / plan.macs, 1);
  return plan;
}

uint64_t dp_run_units(const dp_place *place, uint32_t first_unit, uint32_t last_unit) {
  const dp_op_type *type = types[place->op->kind];
  const uint64_t pieces = type->pieces(place->op, place->kernels, place->threads);
  const uint64_t first = (uint64_t)first_unit * place->span;
  uint64_t last = (uint64_t)last_unit * place->span;
  if (last > pieces) last = pieces;
  return type->run(place, first, last);
}
