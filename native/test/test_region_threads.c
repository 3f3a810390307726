/*
 * test_region_threads.c: the region under load. Threads serve as JavaScript's workers do; this one
 * publishes, helps, in turns or to the end, aborts, and hears of completed programs only by the notices, so that a lost one
 * shows as a hang.
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

enum { THREADS_MAX = 8, CASES = 12, PROGRAMS = 100, PATIENCE_S = 60 };

/* ---- the workers ------------------------------------------------------------------------------ */

typedef struct manner {
  const char *name;
  uint64_t spin_ns, slice_ns;
  bool naps;       /* now and then stays away while the others go on */
  bool successors; /* two threads share a seat, as if one died and another came */
} manner;

typedef struct crew {
  arena arena;
  manner manner;
  uint32_t threads, members;
  pthread_t thread[2 * THREADS_MAX];
  pthread_mutex_t seat[THREADS_MAX];
  sem_t notices;
} crew;

typedef struct member {
  crew *crew;
  uint32_t index;
} member;

static bool has_work(const dp_region *region, const dp_worker *worker) {
  return atomic_load(&region->stop) == 1 ||
         (atomic_load(&region->epoch) != worker->cursor && worker->index < atomic_load(&region->seats));
}

static void *work(void *argument) {
  const member member = *(struct member *)argument;
  free(argument);
  crew *crew = member.crew;
  dp_region *region = crew->arena.region;
  dp_worker *worker = &region->workers[member.index];
  for (uint32_t turn = member.index;; turn = turn * 1664525u + 1013904223u) {
    pthread_mutex_lock(&crew->seat[member.index]);
    if (crew->manner.successors) dp_retire(region, member.index); /* as JavaScript does for the successor */
    const int why = dp_serve(region, member.index, crew->manner.spin_ns, crew->manner.slice_ns);
    if (why == DP_LEAVE_NOTICE) sem_post(&crew->notices);
    const bool parks = (why == DP_LEAVE_IDLE || why == DP_LEAVE_UNSEATED) && !has_work(region, worker);
    pthread_mutex_unlock(&crew->seat[member.index]);
    if (why == DP_LEAVE_STOP) return NULL;
    if (parks) usleep(50);
    if (crew->manner.naps && turn >> 28 == 0) usleep(turn >> 8 & 0x7ff);
  }
}

static void start_crew(crew *crew, uint32_t threads, manner manner) {
  crew->arena = make_arena(threads);
  crew->manner = manner;
  crew->threads = threads;
  crew->members = manner.successors ? 2 * threads : threads;
  sem_init(&crew->notices, 0, 0);
  for (uint32_t w = 0; w < threads; w++) pthread_mutex_init(&crew->seat[w], NULL);
  for (uint32_t i = 0; i < crew->members; i++) {
    member *member = malloc(sizeof *member);
    *member = (struct member){.crew = crew, .index = i % threads};
    pthread_create(&crew->thread[i], NULL, work, member);
  }
}

static void stop_crew(crew *crew) {
  atomic_store(&crew->arena.region->stop, 1);
  for (uint32_t i = 0; i < crew->members; i++) pthread_join(crew->thread[i], NULL);
  for (uint32_t w = 0; w < crew->threads; w++) pthread_mutex_destroy(&crew->seat[w]);
  sem_destroy(&crew->notices);
  free_arena(&crew->arena);
}

/* ---- the publisher ---------------------------------------------------------------------------- */

typedef struct flight {
  bool used, aborted;
  uint32_t epoch;
  linear_call call;
} flight;

static void land(flight *flight, const char *where) {
  if (flight->aborted) {
    check_edges(&flight->call, where);
  } else {
    check_linear_call(&flight->call, where);
  }
  free_linear_call(&flight->call);
  flight->used = false;
}

/* As JavaScript settles: first the notice is taken back, then the slots are looked through. */
static uint32_t settle(crew *crew, flight *ring) {
  uint32_t in_flight = 0;
  atomic_store(&crew->arena.region->notice, 0);
  for (int i = 0; i < DP_RING; i++) {
    if (!ring[i].used) continue;
    if (is_complete(&crew->arena, ring[i].epoch)) {
      land(&ring[i], crew->manner.name);
    } else {
      in_flight++;
    }
  }
  return in_flight;
}

static void await_notice(crew *crew) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE_S;
  if (sem_timedwait(&crew->notices, &until) == 0) return;
  /* there is no way back from here: threads may be stuck */
  check(false, "%s, %u threads: a program hangs", crew->manner.name, crew->threads);
  exit(conclude());
}

static void test_crew(const linear_case *cases, uint32_t threads, manner manner, bool aborts) {
  crew crew;
  flight ring[DP_RING] = {{0}};
  uint64_t units = 0;
  start_crew(&crew, threads, manner);
  const arena *arena = &crew.arena;
  for (int i = 0; i < PROGRAMS; i++) {
    const uint32_t next = (atomic_load(&arena->region->epoch) + 1) % DP_RING;
    while (ring[next].used) {
      await_notice(&crew);
      settle(&crew, ring);
    }
    flight flight = {.used = true, .call = make_linear_call(&cases[random_between(0, CASES - 1)])};
    const bool silent = one_in(5), in_turns = one_in(3);
    atomic_store(&arena->region->seats, silent || in_turns ? threads - 1 : threads);
    units += units_of(arena, flight.call.ops, flight.call.op_count);
    flight.epoch = publish(arena, flight.call.ops, flight.call.op_count, silent);
    if (aborts && one_in(6)) {
      flight.aborted = true;
      if (one_in(2)) usleep(random_between(0, 200));
      atomic_store(&slot_at(arena, flight.epoch)->aborted, 1);
    }
    if (silent) {
      dp_help(arena->region, flight.epoch, FOR_EVER);
      check(is_complete(arena, flight.epoch), "dp_help came back too early");
      land(&flight, "help");
      settle(&crew, ring); /* the caller may have ended others' programs, which brings no notice */
    } else {
      ring[next] = flight;
    }
    if (in_turns) {
      for (int turn = 0; turn < 3; turn++) {
        dp_help_briefly(arena->region, flight.epoch - random_between(0, 2), random_between(1, 50000));
      }
      settle(&crew, ring);
      /* as JavaScript does before it waits for notices: there may be no other worker */
      atomic_store(&arena->region->seats, threads);
    }
    if (one_in(16)) usleep(random_between(0, 300)); /* lets workers go to sleep */
  }
  while (settle(&crew, ring) > 0) await_notice(&crew);
  /* every unit ran, and ran once */
  check(aborts || units_run(arena) == units, "%s, %u threads: %llu units were run, not %llu",
        manner.name, threads, (unsigned long long)units_run(arena), (unsigned long long)units);
  stop_crew(&crew);
}

/* Workers leave at once when the region stops, whatever is in flight. */
static void test_stop(const linear_case *cases, uint32_t threads, manner manner) {
  crew crew;
  linear_call calls[DP_RING];
  start_crew(&crew, threads, manner);
  for (int i = 0; i < DP_RING; i++) {
    calls[i] = make_linear_call(&cases[random_between(0, CASES - 1)]);
    publish(&crew.arena, calls[i].ops, calls[i].op_count, false);
  }
  stop_crew(&crew);
  for (int i = 0; i < DP_RING; i++) {
    check_edges(&calls[i], "stop");
    free_linear_call(&calls[i]);
  }
}

void test_region_threads(void) {
  const manner manners[] = {
      {.name = "steady", .spin_ns = 50000, .slice_ns = 10000000},
      {.name = "restless", .spin_ns = 0, .slice_ns = 1, .naps = true},
      {.name = "mortal", .spin_ns = 5000, .slice_ns = 20000, .successors = true},
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
      test_crew(cases, counts[c], manners[i], false);
      test_crew(cases, counts[c], manners[i], true);
      test_stop(cases, counts[c], manners[i]);
    }
  }
  for (int i = 0; i < CASES; i++) free_linear_case(&cases[i]);
  report("region on threads %s", dp_isa());
}
