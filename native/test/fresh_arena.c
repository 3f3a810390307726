#include "arena.h"

arena make_arena(uint32_t threads) {
  const uint64_t bytes = dp_region_bytes(threads);
  arena arena = {.memory = make_input(bytes, 64)};
  arena.region = arena.memory.at;
  dp_region_init(arena.region, threads);
  return arena;
}

void free_arena(arena *arena) { free_block(&arena->memory); }
