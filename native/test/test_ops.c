/*
 * test_ops.c: whole ops, divided into units for any number of threads and run by one. All shapes have tails; some are
 * so large that a unit is more than one piece.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/tiles.h"
#include "../src/units.h"
#include "arena.h"
#include "linear_case.h"
#include "oracle.h"
#include "tests.h"

enum { CASES = 150 };

static uint64_t address_of(const block *block) { return (uint64_t)(uintptr_t)block->at; }

static void run_case(linear_case linear) {
  arena arena = make_arena(random_between(1, 9));
  linear_call call = make_linear_call(&linear);
  const uint64_t units = units_of(&arena, call.ops, call.op_count);
  run_alone(&arena, call.ops, call.op_count);
  check_linear_call(&call, "ops");
  check(units_run(&arena) == units, "ops: %llu units were run, not %llu", (unsigned long long)units_run(&arena),
        (unsigned long long)units);
  free_linear_call(&call);
  free_linear_case(&linear);
  free_arena(&arena);
}

void linear_op_case(void) {
  const uint32_t m = one_in(3) ? 1 : random_extent(40);
  const uint32_t n = random_extent(200), k = random_extent(300);
  run_case(one_in(5) ? make_integer_case(m, n, k) : make_linear_case(m, n, k));
}

static void test_shapes(void) {
  for (int i = 0; i < CASES; i++) linear_op_case();
  run_case(make_linear_case(1, 17, DP_MAX_K));
  run_case(make_linear_case(203, 65, 33)); /* rows in chunks */
  for (int i = 0; i < 4; i++) run_case(make_linear_case(random_between(1, 70), 67, random_between(4090, 9000)));
}

/* A range counts units in 16 bits: where there are more pieces, a unit has several. */
static void test_many_pieces(void) {
  run_case(make_linear_case(1, DP_MAX_UNITS * DP_COLUMN + 100, 3));
  run_case(make_linear_case(DP_MAX_UNITS + 100, 3, 2));
}

/* Padding counts: it is read too. */
static void test_weight_bytes(void) {
  arena arena = make_arena(3);
  linear_case linear = make_linear_case(1, 70, 9);
  block y = make_output(linear.expected.bytes, 0);
  const dp_op gemv = {
      .kind = DP_OP_GEMV,
      .m = 1,
      .linear =
          {
              .input = {.x = address_of(&linear.x), .k = 9, .x_type = linear.x_type},
              .y = address_of(&y),
              .tiles = address_of(&linear.tiles),
              .col_sum = address_of(&linear.col_sum),
              .scale = address_of(&linear.scale),
              .n = 70,
              .y_type = linear.y_type,
          },
  };
  run_alone(&arena, &gemv, 1);
  const uint64_t bytes = atomic_load(&arena.region->workers[3].stats.weight_bytes);
  check(bytes == 80 * 12, "70 x 9 weights count as %llu bytes", (unsigned long long)bytes);
  free_block(&y);
  free_linear_case(&linear);
  free_arena(&arena);
}

/* int8 weights [K, N], and float weights that are quantised on the way. */
void packing_case(void) {
  const uint32_t n = random_extent(200), k = random_extent(100);
  const uint32_t spoiled = one_in(10) ? random_between(0, n - 1) : n;
  const size_t count = (size_t)n * k, padded = dp_blocks(n) * DP_NR;
  const bool transposes = one_in(3);
  const dp_type type = transposes ? DP_S8 : one_in(2) ? DP_F32 : DP_BF16;
  const size_t size = transposes ? 1 : type == DP_BF16 ? 2 : 4;
  arena arena = make_arena(random_between(1, 9));
  block x = make_input(count * size, size), q = make_input(count, 64);
  block tiles = make_output(dp_blocks(n) * dp_block_bytes(k), 0), expected = make_input(tiles.bytes, 64);
  block col_sum = make_output(padded * 4, 0), sums = make_input(padded * 4, 64);
  block scale = make_output(padded * 4, 0), scales = make_input(padded * 4, 64);
  bool faulty = false;
  for (uint32_t c = 0; c < n; c++) {
    const size_t first = (size_t)c * k;
    if (transposes) {
      random_bytes((int8_t *)q.at + first, k);
      for (uint32_t j = 0; j < k; j++) ((int8_t *)x.at)[(size_t)j * n + c] = ((int8_t *)q.at)[first + j];
      continue;
    }
    block row = make_input(k * sizeof(float), 64);
    random_floats(row.at, k);
    if (c == spoiled) spoil(row.at, k);
    for (uint32_t j = 0; j < k; j++) oracle_store(x.at, type, first + j, ((float *)row.at)[j]);
    const float s = oracle_quantize_channel(x.at, type, first, k, (int8_t *)q.at + first);
    ((float *)scales.at)[c] = s;
    faulty |= isnan(s);
    free_block(&row);
  }
  dp_op op = {
      .kind = transposes ? DP_OP_PACK_TRANSPOSED : DP_OP_QUANTIZE_PACK,
      .pack =
          {
              .w = address_of(&x),
              .tiles = address_of(&tiles),
              .col_sum = address_of(&col_sum),
              .scale = address_of(&scale),
              .n = n,
              .k = k,
              .w_type = type,
          },
  };
  const uint32_t epoch = run_alone(&arena, &op, 1);
  const uint32_t fault = atomic_load(&slot_at(&arena, epoch)->fault);
  if (faulty) {
    check(fault >= 1 && fault <= n && isnan(((float *)scales.at)[fault - 1]),
          "packing %u x %u: fault %u names no faulty channel", n, k, fault);
  } else {
    oracle_pack(q.at, n, k, expected.at, sums.at);
    check(fault == 0, "packing %u x %u: fault %u", n, k, fault);
    check(memcmp(tiles.at, expected.at, tiles.bytes) == 0, "packing %u x %u: tiles differ", n, k);
    check(memcmp(col_sum.at, sums.at, sums.bytes) == 0, "packing %u x %u: colSum differs", n, k);
    check(transposes || memcmp(scale.at, scales.at, n * 4) == 0, "packing %u x %u: scales differ", n, k);
  }
  check(edges_hold(&tiles) && edges_hold(&col_sum) && edges_hold(&scale), "packing %u x %u wrote beside its memory", n,
        k);
  free_block(&x), free_block(&q), free_block(&tiles), free_block(&expected);
  free_block(&col_sum), free_block(&sums), free_block(&scale), free_block(&scales);
  free_arena(&arena);
}

static void test_rooflines_count(void) {
  arena arena = make_arena(2);
  block x = make_input(3 << 20, 64);
  uint64_t read = 0, macs = 0, cycles = 0;
  const dp_roofline_params reading = {
      .x = address_of(&x), .count = (uint64_t)(uintptr_t)&read, .pieces = 3, .streams = 4, .ahead = 512};
  memset(x.at, 0, x.bytes);
  const dp_op ops[] = {
      {.kind = DP_OP_READ, .roofline = reading},
      {.kind = DP_OP_PEAK, .roofline = {.count = (uint64_t)(uintptr_t)&macs, .pieces = 2}},
      {.kind = DP_OP_CLOCK, .roofline = {.count = (uint64_t)(uintptr_t)&cycles, .pieces = 2}},
      {.kind = DP_OP_EMPTY},
  };
  run_alone(&arena, ops, 4);
  check(read == x.bytes, "%llu of %zu bytes were read", (unsigned long long)read, x.bytes);
  check(macs > 0, "no multiplies were counted");
  check(cycles > 0, "no cycles were counted");
  free_block(&x);
  free_arena(&arena);
}

void test_ops(void) {
  test_shapes();
  test_many_pieces();
  test_weight_bytes();
  for (int i = 0; i < CASES; i++) packing_case();
  test_rooflines_count();
  report("ops %s", dp_isa());
}
