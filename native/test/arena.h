/* arena.h: a region in memory of its own; tests publish to it as JavaScript does. */
#ifndef DP_ARENA_H
#define DP_ARENA_H

#include "../include/dotpool.h"
#include "tester.h"

typedef struct arena {
  block memory;
  dp_region *region;
} arena;

/* A time limit for dp_help, nanoseconds. */
static const uint64_t FOR_EVER = 3600u * 1000000000ull;

arena make_arena(uint32_t threads);
void free_arena(arena *arena);

/* Writes the ops into the next slot and publishes them; the slot must be free. */
uint32_t publish(const arena *arena, const dp_op *ops, uint32_t op_count, bool silent);

/* Publishes silently and works until the program is complete. */
uint32_t run_alone(const arena *arena, const dp_op *ops, uint32_t op_count);

dp_slot *slot_at(const arena *arena, uint32_t epoch);
bool is_complete(const arena *arena, uint32_t epoch);

/* Units that all workers have run, and the units of a program's ops. */
uint64_t units_run(const arena *arena);
uint64_t units_of(const arena *arena, const dp_op *ops, uint32_t op_count);

#endif
