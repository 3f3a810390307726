/*
 * test_region_threads.c: the region under load. Threads serve as JavaScript's workers do; this one publishes, helps, in
 * turns or to the end, aborts, and learns of completed programs only by the notices, so that a lost one shows as a
 * hang.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "linear_case.h"
#include "tests.h"

enum { THREADS_MAX = 8, CASES = 12, PROGRAMS = 100, TIMEOUT_S = 60 };

/* ---- the workers ------------------------------------------------------------------------------ */

typedef struct behaviour {
  const char *name;
  uint64_t spin_ns, slice_ns;
  bool naps;       /* sometimes pauses while the others continue */
  bool successors; /* two threads share a seat, as if one died and another replaced it */
} behaviour;

typedef struct workers {
  arena arena;
  behaviour behaviour;
  uint32_t threads, thread_count;
  pthread_t thread[2 * THREADS_MAX];
  pthread_mutex_t seat[THREADS_MAX];
  sem_t notices;
} workers;

typedef struct seat_thread {
  workers *workers;
  uint32_t index;
} seat_thread;

static bool has_work(const dp_region *region, const dp_worker *worker) {
  return atomic_load(&region->stop) == 1 ||
         (atomic_load(&region->epoch) != worker->cursor && worker->index < atomic_load(&region->seats));
}

static void *work(void *argument) {
  const seat_thread seat_thread = *(struct seat_thread *)argument;
  free(argument);
  workers *workers = seat_thread.workers;
  dp_region *region = workers->arena.region;
  dp_worker *worker = &region->workers[seat_thread.index];
  for (uint32_t turn = seat_thread.index;; turn = turn * 1664525u + 1013904223u) {
    pthread_mutex_lock(&workers->seat[seat_thread.index]);
    if (workers->behaviour.successors) dp_retire(region, seat_thread.index); /* as JavaScript does for the successor */
    const int why = dp_serve(region, seat_thread.index, workers->behaviour.spin_ns, workers->behaviour.slice_ns);
    if (why == DP_LEAVE_NOTICE) sem_post(&workers->notices);
    const bool parks = (why == DP_LEAVE_IDLE || why == DP_LEAVE_UNSEATED) && !has_work(region, worker);
    pthread_mutex_unlock(&workers->seat[seat_thread.index]);
    if (why == DP_LEAVE_STOP) return NULL;
    if (parks) usleep(50);
    if (workers->behaviour.naps && turn >> 28 == 0) usleep(turn >> 8 & 0x7ff);
  }
}

static void start_workers(workers *workers, uint32_t threads, behaviour behaviour) {
  workers->arena = make_arena(threads);
  workers->behaviour = behaviour;
  workers->threads = threads;
  workers->thread_count = behaviour.successors ? 2 * threads : threads;
  sem_init(&workers->notices, 0, 0);
  for (uint32_t w = 0; w < threads; w++) pthread_mutex_init(&workers->seat[w], NULL);
  for (uint32_t i = 0; i < workers->thread_count; i++) {
    seat_thread *seat_thread = malloc(sizeof *seat_thread);
    *seat_thread = (struct seat_thread){.workers = workers, .index = i % threads};
    pthread_create(&workers->thread[i], NULL, work, seat_thread);
  }
}

static void stop_workers(workers *workers) {
  atomic_store(&workers->arena.region->stop, 1);
  for (uint32_t i = 0; i < workers->thread_count; i++) pthread_join(workers->thread[i], NULL);
  for (uint32_t w = 0; w < workers->threads; w++) pthread_mutex_destroy(&workers->seat[w]);
  sem_destroy(&workers->notices);
  free_arena(&workers->arena);
}

/* ---- the publisher ---------------------------------------------------------------------------- */

typedef struct pending_call {
  bool used, aborted;
  uint32_t epoch;
  linear_call call;
} pending_call;

static void finish_call(pending_call *pending, const char *where) {
  if (pending->aborted) {
    check_edges(&pending->call, where);
  } else {
    check_linear_call(&pending->call, where);
  }
  free_linear_call(&pending->call);
  pending->used = false;
}

/* As JavaScript settles: first it clears the notice, then it looks through the slots. */
static uint32_t settle(workers *workers, pending_call *ring) {
  uint32_t in_flight = 0;
  atomic_store(&workers->arena.region->notice, 0);
  for (int i = 0; i < DP_RING; i++) {
    if (!ring[i].used) continue;
    if (is_complete(&workers->arena, ring[i].epoch)) {
      finish_call(&ring[i], workers->behaviour.name);
    } else {
      in_flight++;
    }
  }
  return in_flight;
}

static void await_notice(workers *workers) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += TIMEOUT_S;
  if (sem_timedwait(&workers->notices, &until) == 0) return;
  /* the test cannot continue: threads may be stuck */
  check(false, "%s, %u threads: a program hangs", workers->behaviour.name, workers->threads);
  exit(conclude());
}

static void test_workers(const linear_case *cases, uint32_t threads, behaviour behaviour, bool aborts) {
  workers workers;
  pending_call ring[DP_RING] = {{0}};
  uint64_t units = 0;
  start_workers(&workers, threads, behaviour);
  const arena *arena = &workers.arena;
  for (int i = 0; i < PROGRAMS; i++) {
    const uint32_t next = (atomic_load(&arena->region->epoch) + 1) % DP_RING;
    while (ring[next].used) {
      await_notice(&workers);
      settle(&workers, ring);
    }
    pending_call pending = {.used = true, .call = make_linear_call(&cases[random_between(0, CASES - 1)])};
    const bool silent = one_in(5), in_turns = one_in(3);
    atomic_store(&arena->region->seats, silent || in_turns ? threads - 1 : threads);
    units += units_of(arena, pending.call.ops, pending.call.op_count);
    pending.epoch = publish(arena, pending.call.ops, pending.call.op_count, silent);
    if (aborts && one_in(6)) {
      pending.aborted = true;
      if (one_in(2)) usleep(random_between(0, 200));
      atomic_store(&slot_at(arena, pending.epoch)->aborted, 1);
    }
    if (silent) {
      dp_help(arena->region, pending.epoch, FOR_EVER);
      check(is_complete(arena, pending.epoch), "dp_help returned too early");
      finish_call(&pending, "help");
      settle(&workers, ring); /* the caller may have finished other programs, which returns no notice */
    } else {
      ring[next] = pending;
    }
    if (in_turns) {
      for (int turn = 0; turn < 3; turn++) {
        dp_help_briefly(arena->region, pending.epoch - random_between(0, 2), random_between(1, 50000));
      }
      settle(&workers, ring);
      /* as JavaScript does before it waits for notices: there may be no other worker */
      atomic_store(&arena->region->seats, threads);
    }
    if (one_in(16)) usleep(random_between(0, 300)); /* lets workers go to sleep */
  }
  while (settle(&workers, ring) > 0) await_notice(&workers);
  /* every unit ran, and ran once */
  check(aborts || units_run(arena) == units, "%s, %u threads: %llu units were run, not %llu", behaviour.name, threads,
        (unsigned long long)units_run(arena), (unsigned long long)units);
  stop_workers(&workers);
}

/* Workers leave at once when the region stops, whatever is in flight. */
static void test_stop(const linear_case *cases, uint32_t threads, behaviour behaviour) {
  workers workers;
  linear_call calls[DP_RING];
  start_workers(&workers, threads, behaviour);
  for (int i = 0; i < DP_RING; i++) {
    calls[i] = make_linear_call(&cases[random_between(0, CASES - 1)]);
    publish(&workers.arena, calls[i].ops, calls[i].op_count, false);
  }
  stop_workers(&workers);
  for (int i = 0; i < DP_RING; i++) {
    check_edges(&calls[i], "stop");
    free_linear_call(&calls[i]);
  }
}

void test_region_threads(void) {
  const behaviour behaviours[] = {
      {.name = "steady", .spin_ns = 50000, .slice_ns = 10000000},
      {.name = "napping", .spin_ns = 0, .slice_ns = 1, .naps = true},
      {.name = "dying", .spin_ns = 5000, .slice_ns = 20000, .successors = true},
  };
  const uint32_t counts[] = {1, 2, 3, 8};
  linear_case cases[CASES];
  for (int i = 0; i < CASES; i++) {
    const uint32_t m = i % 3 == 0 ? 1 : random_between(1, 40);
    cases[i] = i % 6 == 5 ? make_integer_case(m, random_between(1, 200), random_between(1, 100))
                          : make_linear_case(m, random_between(1, 200), random_between(1, 100));
  }
  for (int c = 0; c < 4; c++) {
    for (int i = 0; i < 3; i++) {
      test_workers(cases, counts[c], behaviours[i], false);
      test_workers(cases, counts[c], behaviours[i], true);
      test_stop(cases, counts[c], behaviours[i]);
    }
  }
  for (int i = 0; i < CASES; i++) free_linear_case(&cases[i]);
  report("region on threads %s", dp_isa());
}
