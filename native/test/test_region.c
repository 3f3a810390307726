/*
 * test_region.c: the region's rules; one thread plays all workers in turn, so that every state can be reached on
 * purpose: why a worker leaves, what an abort skips, what a late worker finds.
 */
#include <string.h>

#include "arena.h"
#include "linear_case.h"
#include "tests.h"

static const uint64_t AT_ONCE = 0, LONG = 10000000000u;

static int serve(const arena *arena, uint32_t index) { return dp_serve(arena->region, index, AT_ONCE, LONG); }

static void test_reasons_to_leave(void) {
  arena arena = make_arena(2);
  const dp_op empty[DP_SLOT_OPS] = {{.kind = DP_OP_EMPTY}};
  check(serve(&arena, 0) == DP_LEAVE_IDLE, "an idle worker does not park");

  publish(&arena, empty, 1, false);
  check(serve(&arena, 1) == DP_LEAVE_NOTICE, "the last finisher does not return a notice");
  check(serve(&arena, 0) == DP_LEAVE_IDLE, "a worker with nothing to do does not park");

  const uint32_t second = publish(&arena, empty, DP_SLOT_OPS, false);
  check(serve(&arena, 0) == DP_LEAVE_IDLE && is_complete(&arena, second),
        "a second notice is returned while one is pending");
  atomic_store(&arena.region->notice, 0);

  publish(&arena, empty, 1, true);
  check(serve(&arena, 0) == DP_LEAVE_IDLE && atomic_load(&arena.region->notice) == 0,
        "a silent program returns a notice");

  /* the publisher's thread takes the last worker's seat */
  atomic_store(&arena.region->seats, 1);
  const uint32_t silent = publish(&arena, empty, 1, true);
  check(serve(&arena, 1) == DP_LEAVE_UNSEATED && !is_complete(&arena, silent), "a worker without a seat works");
  check(serve(&arena, 0) == DP_LEAVE_IDLE && is_complete(&arena, silent), "no other worker does its work");
  atomic_store(&arena.region->seats, 2);
  publish(&arena, empty, 1, false);
  check(serve(&arena, 1) == DP_LEAVE_NOTICE, "a seat was not returned");
  atomic_store(&arena.region->notice, 0);

  const uint32_t last = publish(&arena, empty, 1, false);
  atomic_store(&arena.region->stop, 1);
  check(serve(&arena, 0) == DP_LEAVE_STOP && !is_complete(&arena, last), "a stopped worker works");
  free_arena(&arena);
}

/* An op with a unit for every worker that no other can claim. */
static void test_meeting(void) {
  arena arena = make_arena(3);
  const dp_op meet[] = {{.kind = DP_OP_MEET}, {.kind = DP_OP_MEET, .flags = DP_TOGETHER}};
  const uint32_t epoch = publish(&arena, meet, 2, false);
  check(serve(&arena, 2) == DP_LEAVE_IDLE && serve(&arena, 0) == DP_LEAVE_IDLE, "a worker waits");
  check(!is_complete(&arena, epoch), "a meeting ended without a worker");
  check(serve(&arena, 1) == DP_LEAVE_NOTICE && is_complete(&arena, epoch), "a meeting hangs");
  free_arena(&arena);
}

/* A program that waits for those before it, whichever they are and however they end. */
static void test_after(void) {
  arena arena = make_arena(2);
  const dp_op meet = {.kind = DP_OP_MEET}, empty = {.kind = DP_OP_EMPTY};
  const dp_op after = {.kind = DP_OP_EMPTY, .flags = DP_AFTER};
  for (int i = 0; i < 2 * DP_RING; i++) {
    const uint32_t waited_for = publish(&arena, &meet, 1, false);
    publish(&arena, &empty, 1, false);
    const uint32_t last = publish(&arena, &after, 1, false);
    for (int slice = 0; slice < 3; slice++) dp_serve(arena.region, 0, AT_ONCE, 20000);
    check(!is_complete(&arena, waited_for) && !is_complete(&arena, last), "a program did not wait");
    if (one_in(2)) atomic_store(&slot_at(&arena, waited_for)->aborted, 1);
    while (!is_complete(&arena, waited_for)) serve(&arena, 1);
    while (!is_complete(&arena, last)) serve(&arena, random_between(0, 1));
    atomic_store(&arena.region->notice, 0);
  }
  free_arena(&arena);
}

/* A program in memory outside of its slot has any number of ops and may run again and again. */
static void test_kept_program(void) {
  enum { OPS = 5 * DP_SLOT_OPS };
  arena arena = make_arena(random_between(1, 5));
  linear_case linear = make_linear_case(4, 100, 30);
  linear_call call = make_linear_call(&linear);
  dp_op ops[OPS] = {{0}}; /* empty ones, then the call */
  memcpy(ops + OPS - call.op_count, call.ops, call.op_count * sizeof *ops);
  const uint32_t threads = arena.region->threads;
  block progress = make_output(OPS * dp_progress_bytes(threads), 0);
  for (int run = 0; run < 3; run++) {
    const uint32_t epoch = dp_publish(arena.region, ops, progress.at, OPS, false);
    for (uint32_t w = 0; w < threads && !is_complete(&arena, epoch); w++) serve(&arena, w);
    check(is_complete(&arena, epoch), "a kept program hangs");
    check_linear_call(&call, "kept");
    atomic_store(&arena.region->notice, 0);
  }
  check(edges_hold(&progress), "a kept program's progress overflows its memory");
  free_block(&progress);
  free_linear_call(&call);
  free_linear_case(&linear);
  free_arena(&arena);
}

/* A worker makes progress with the program, however short its slices. */
static void test_slices(void) {
  arena arena = make_arena(1);
  linear_case linear = make_linear_case(20, 300, 20);
  linear_call call = make_linear_call(&linear);
  const uint32_t epoch = publish(&arena, call.ops, call.op_count, false);
  const dp_worker *worker = &arena.region->workers[0];
  int slices = 0;
  while (!is_complete(&arena, epoch) && slices < 10000) {
    const int why = dp_serve(arena.region, 0, AT_ONCE, 1);
    if (is_complete(&arena, epoch)) break;
    check(why == DP_LEAVE_SLICE, "a slice ends with %d", why);
    /* JavaScript reads these to tell that a worker was in the middle of a program */
    check(worker->entered == epoch && worker->cursor == epoch - 1, "a worker lost its place");
    slices++;
  }
  check(slices > 0 && is_complete(&arena, epoch), "a program needed %d slices", slices);
  check_linear_call(&call, "slices");
  free_linear_call(&call);
  free_linear_case(&linear);
  free_arena(&arena);
}

/* A turn of the publisher's thread, which considers no unit long, however slow this machine is. */
static uint32_t take_turn(const arena *arena, uint32_t epoch, uint64_t turn_ns) {
  for (int kind = 0; kind < DP_OP_KINDS; kind++) atomic_store(&arena->region->pace[kind], 0);
  return dp_help_briefly(arena->region, epoch, turn_ns);
}

/* The publisher's thread makes progress with the program turn by turn, however short its turns. */
static void test_turns(void) {
  arena arena = make_arena(2);
  linear_case linear = make_linear_case(20, 300, 200);
  linear_call call = make_linear_call(&linear);
  const uint32_t epoch = publish(&arena, call.ops, call.op_count, false);
  int turns = 0;
  for (; !is_complete(&arena, epoch) && turns < 10000; turns++) {
    check(take_turn(&arena, epoch, 1) == 1, "units of unknown length are long");
  }
  check(turns > 1 && is_complete(&arena, epoch), "a program needed %d turns", turns);
  check(serve(&arena, 0) == DP_LEAVE_IDLE, "the publisher's thread left work behind");
  check_linear_call(&call, "turns");
  free_linear_call(&call);
  free_linear_case(&linear);
  free_arena(&arena);
}

/* A turn ends whatever other workers do: if they are absent, and if one died holding a claim. */
static void test_turns_end(void) {
  arena arena = make_arena(2);
  const dp_op ops[] = {{.kind = DP_OP_MEET}, {.kind = DP_OP_EMPTY}};
  const uint32_t epoch = publish(&arena, ops, 2, false);
  for (int i = 0; i < 3; i++) check(take_turn(&arena, epoch, 1000) == 1, "waiting is long");
  check(!is_complete(&arena, epoch), "an op did not wait for the one before it");
  check(serve(&arena, 0) == DP_LEAVE_NOTICE && is_complete(&arena, epoch), "a worker does not finish it");
  free_arena(&arena);
}

/* Long units are left to the workers, as far as claims of the same kind have shown how long they take. */
static void test_long_units(void) {
  arena arena = make_arena(2);
  const dp_op empty = {.kind = DP_OP_EMPTY};
  _Atomic uint64_t *pace = &arena.region->pace[DP_OP_EMPTY];
  uint32_t epoch = publish(&arena, &empty, 1, false);
  serve(&arena, 0);
  check(atomic_load(pace) > 0 && is_complete(&arena, epoch), "the length of units is not recorded");
  atomic_store(pace, 1000000000);
  epoch = publish(&arena, &empty, 1, false);
  check(dp_help_briefly(arena.region, epoch, 50000) == 0 && !is_complete(&arena, epoch), "a long unit was run");
  for (int i = 0; i < 100; i++) {
    publish(&arena, &empty, 1, false);
    serve(&arena, 0);
  }
  epoch = publish(&arena, &empty, 1, false);
  check(dp_help_briefly(arena.region, epoch, 50000) == 1 && is_complete(&arena, epoch),
        "units once long stay long for ever");
  free_arena(&arena);
}

static void test_abort(void) {
  arena arena = make_arena(3);
  linear_case linear = make_linear_case(5, 100, 30);
  for (uint32_t i = 0; i < 2 * DP_RING; i++) {
    linear_call call = make_linear_call(&linear);
    const uint32_t epoch = publish(&arena, call.ops, call.op_count, true);
    const bool aborted = i % 3 == 0;
    if (aborted) atomic_store(&slot_at(&arena, epoch)->aborted, 1);
    dp_help(arena.region, epoch, FOR_EVER);
    check(is_complete(&arena, epoch), "program %u is not complete", epoch);
    if (aborted) {
      check(is_untouched(&call), "an aborted program wrote its result");
      check_edges(&call, "abort");
    } else {
      check_linear_call(&call, "after an abort");
    }
    free_linear_call(&call);
  }
  free_linear_case(&linear);
  free_arena(&arena);
}

/* Aborts between two ops of a program: the second is skipped, and the slot becomes free nevertheless. */
static void test_abort_between_ops(void) {
  arena arena = make_arena(1);
  linear_case linear = make_linear_case(3, 100, 30);
  linear_call call = make_linear_call(&linear);
  const uint32_t epoch = publish(&arena, call.ops, call.op_count, false);
  const dp_worker *worker = &arena.region->workers[0];
  for (int i = 0; i < 10000 && worker->op + 1 < call.op_count; i++) dp_serve(arena.region, 0, AT_ONCE, 1);
  const bool had_begun = !is_untouched(&call);
  atomic_store(&slot_at(&arena, epoch)->aborted, 1);
  check(serve(&arena, 0) == DP_LEAVE_NOTICE && is_complete(&arena, epoch), "an aborted program hangs");
  check(had_begun || is_untouched(&call), "an aborted op ran");
  free_linear_call(&call);
  free_linear_case(&linear);
  free_arena(&arena);
}

/* A worker that slept while the ring wrapped around: finds no work, disturbs nothing, and catches up. */
static void test_late_worker(void) {
  arena arena = make_arena(2);
  linear_case linear = make_linear_case(2, 70, 10);
  for (uint32_t round = 0; round < 40; round++) {
    const uint32_t programs = random_between(1, 3 * DP_RING);
    for (uint32_t i = 0; i < programs; i++) {
      linear_call call = make_linear_call(&linear);
      publish(&arena, call.ops, call.op_count, false);
      const int why = serve(&arena, 0);
      check(why == DP_LEAVE_NOTICE, "a worker left with %d", why);
      atomic_store(&arena.region->notice, 0);
      check_linear_call(&call, "beside a late worker");
      free_linear_call(&call);
    }
    const uint64_t units = units_run(&arena);
    check(serve(&arena, 1) == DP_LEAVE_IDLE, "a late worker found work");
    check(units_run(&arena) == units, "a late worker ran units");
    check(arena.region->workers[1].cursor == atomic_load(&arena.region->epoch), "a late worker is behind");
  }
  free_linear_case(&linear);
  free_arena(&arena);
}

/* Claims a unit of the worker's current op, like a thread that dies holding it. False: no unit is left. */
static bool die_holding_claim(const arena *arena, dp_worker *worker, uint32_t epoch) {
  const uint32_t threads = arena->region->threads;
  char *progresses = (char *)slot_at(arena, epoch)->own_progress;
  dp_progress *progress = (dp_progress *)(progresses + worker->op * dp_progress_bytes(threads));
  for (uint32_t owner = 0; owner < threads; owner++) {
    const uint64_t range = atomic_load(&progress->range[owner]);
    if ((range >> 16 & 0xffff) == (range & 0xffff)) continue;
    atomic_store(&progress->range[owner], range + (1 << 16));
    worker->entered = epoch;
    atomic_store(&worker->held, 1);
    return true;
  }
  return false;
}

/* A thread dies while it holds a claim: its program is lost, but ends, and the next program runs. */
static void test_death(void) {
  uint32_t deaths = 0;
  for (int round = 0; round < 100; round++) {
    arena arena = make_arena(3);
    linear_case linear = make_linear_case(5, 300, 30);
    linear_call lost = make_linear_call(&linear), next = make_linear_call(&linear);
    const uint32_t epoch = publish(&arena, lost.ops, lost.op_count, false);
    for (uint32_t i = random_between(0, 20); i > 0; i--) dp_serve(arena.region, 1, AT_ONCE, 1);
    dp_worker *worker = &arena.region->workers[1];
    if (!is_complete(&arena, epoch) && die_holding_claim(&arena, worker, epoch)) {
      deaths++;
      atomic_store(&slot_at(&arena, epoch)->aborted, 1);
      const uint32_t following = publish(&arena, next.ops, next.op_count, false);
      /* nothing waits for its last op, so the others can continue before its claims are released */
      if (worker->op + 1 == lost.op_count && one_in(2)) {
        for (int i = 0; i < 10; i++) serve(&arena, i % 2 * 2);
        check(!is_complete(&arena, epoch), "a program is complete without a claim");
      }
      dp_retire(arena.region, 1);
      check(worker->op == 0 && atomic_load(&worker->held) == 0, "a dead worker left claims behind");
      for (int i = 0; i < 100 && !is_complete(&arena, following); i++) serve(&arena, random_between(0, 2));
      check(is_complete(&arena, epoch) && is_complete(&arena, following), "a lost claim hangs");
      check_edges(&lost, "death");
      check_linear_call(&next, "after a death");
    }
    free_linear_call(&next);
    free_linear_call(&lost);
    free_linear_case(&linear);
    free_arena(&arena);
  }
  check(deaths > 0, "no worker died");
}

/* A full ring, begun by one worker and finished by another, or by the caller. */
static void test_full_ring(void) {
  for (int round = 0; round < 2; round++) {
    arena arena = make_arena(3);
    linear_case linear = make_linear_case(17, 130, 20);
    linear_call calls[DP_RING];
    uint32_t epoch = 0;
    for (int i = 0; i < DP_RING; i++) {
      calls[i] = make_linear_call(&linear);
      epoch = publish(&arena, calls[i].ops, calls[i].op_count, false);
    }
    int notices = 0;
    for (int i = 0; i < 5; i++) notices += dp_serve(arena.region, 2, AT_ONCE, 1) == DP_LEAVE_NOTICE;
    if (round == 0) dp_help(arena.region, epoch, FOR_EVER);
    for (int why; (why = serve(&arena, 0)) != DP_LEAVE_IDLE;) {
      notices++;
      if (!check(why == DP_LEAVE_NOTICE, "a worker left a full ring with %d", why)) break;
    }
    /* the first notice stays pending, so there is only one; none if the caller was the last each time */
    check(notices == 1 || (round == 0 && notices == 0), "%d notices of a full ring", notices);
    for (int i = 0; i < DP_RING; i++) {
      check(is_complete(&arena, epoch - DP_RING + 1 + (uint32_t)i), "program %d of a full ring hangs", i);
      check_linear_call(&calls[i], "a full ring");
      free_linear_call(&calls[i]);
    }
    free_linear_case(&linear);
    free_arena(&arena);
  }
}

/* Epochs wrap to 0, the value of words in a slot that has not been written since the region was made. */
static void test_epochs_wrap(void) {
  arena arena = make_arena(2);
  linear_case linear = make_linear_case(2, 70, 10);
  const uint32_t start = UINT32_MAX - DP_RING - DP_RING / 2;
  atomic_store(&arena.region->epoch, start);
  for (uint32_t w = 0; w < 2; w++) atomic_store(&arena.region->workers[w].cursor, start);
  for (uint32_t i = 0; i < 3 * DP_RING; i++) {
    linear_call call = make_linear_call(&linear);
    const uint32_t epoch = publish(&arena, call.ops, call.op_count, false);
    check(serve(&arena, i % 2) == DP_LEAVE_NOTICE && is_complete(&arena, epoch), "program %u hangs", epoch);
    atomic_store(&arena.region->notice, 0);
    check_linear_call(&call, "where epochs wrap");
    free_linear_call(&call);
  }
  free_linear_case(&linear);
  free_arena(&arena);
}

void test_region(void) {
  test_epochs_wrap();
  test_reasons_to_leave();
  test_meeting();
  test_after();
  test_kept_program();
  test_slices();
  test_turns();
  test_turns_end();
  test_long_units();
  test_abort();
  test_abort_between_ops();
  test_late_worker();
  test_death();
  test_full_ring();
  report("region %s", dp_isa());
}
