/* kept_arena.c: regions for arena.h that persist from one execution to the next, as in production. */
#include <string.h>

#include "../src/kernel_table.h"
#include "../test/arena.h"

enum { MOST_ISAS = 16, MOST_THREADS = 9 };

arena make_arena(uint32_t threads) {
  static arena arenas[MOST_ISAS][MOST_THREADS + 1];
  uint32_t isa = 0;
  while (strcmp(dp_isa_name(isa), dp_isa()) != 0) isa++;
  arena *arena = &arenas[isa][threads];
  if (arena->region == NULL) {
    arena->memory = make_input(dp_region_bytes(threads), 64);
    arena->region = arena->memory.at;
    dp_region_init(arena->region, threads);
  }
  for (uint32_t w = 0; w <= threads; w++) atomic_store(&arena->region->workers[w].stats.units, 0);
  return *arena;
}

void free_arena(arena *arena) { *arena = (struct arena){0}; }
