#include "arena.h"

#include <string.h>

#include "../src/units.h"

dp_slot *slot_at(const arena *arena, uint32_t epoch) { return &arena->region->ring[epoch % DP_RING]; }

bool is_complete(const arena *arena, uint32_t epoch) { return atomic_load(&slot_at(arena, epoch)->completed) == epoch; }

uint32_t publish(const arena *arena, const dp_op *ops, uint32_t op_count, bool silent) {
  dp_slot *slot = slot_at(arena, atomic_load(&arena->region->epoch) + 1);
  memcpy(slot->own_ops, ops, op_count * sizeof *ops);
  return dp_publish(arena->region, NULL, NULL, op_count, silent);
}

uint32_t run_alone(const arena *arena, const dp_op *ops, uint32_t op_count) {
  const uint32_t epoch = publish(arena, ops, op_count, true);
  dp_help(arena->region, epoch, FOR_EVER);
  check(is_complete(arena, epoch), "dp_help returned before program %u was complete", epoch);
  return epoch;
}

uint64_t units_run(const arena *arena) {
  uint64_t units = 0;
  for (uint32_t w = 0; w <= arena->region->threads; w++) {
    units += atomic_load(&arena->region->workers[w].stats.units);
  }
  return units;
}

uint64_t units_of(const arena *arena, const dp_op *ops, uint32_t op_count) {
  uint64_t units = 0;
  for (uint32_t i = 0; i < op_count; i++)
    units += dp_plan_op(&ops[i], dp_active_kernels(), arena->region->threads).units;
  return units;
}
