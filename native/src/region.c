/*
 * region.c: programs, run by all workers together.
 *
 * A program is a list of ops; an op is a number of units that any worker may run, in any order. A
 * worker claims units, runs them, and counts them as done. It starts an op when all units of the ops before
 * it are done, or at once if the op may run together with the one before. It does not wait for workers: one
 * that sleeps, is late or never came holds nobody up unless it holds a claim. So the barrier between ops
 * counts units, not workers, and at the end of a program a worker goes straight on to the next.
 *
 * A worker claims from the front of its own part of the op first. That part is the same in every call, so
 * that its cache may still hold the weights. When its own part is empty it takes from the back of the others'.
 *
 * Slots are reused, and the system may suspend a worker anywhere. Hence every claim is a compare-and-swap on
 * a word that also names the program ("epoch"):
 *
 *   - a program's slot is reused only after it is complete, so after all its units were claimed: its
 *     ranges are empty. A worker that still reads the old program finds empty ranges or another epoch, cannot
 *     claim, and goes on.
 *   - once a claim has succeeded, the program cannot complete before the claimed units are done, so
 *     the op can be read without further checks.
 *   - a thread may die in the middle of a claim: WebAssembly ends threads at any function's entry and at any
 *     turn of a loop. So a worker records in `held` how many units it has claimed, with no such point between
 *     its compare-and-swap and the record, nor between counting them and clearing it: when it dies, `held` is
 *     exact for the op that it is at. dp_retire counts those units as done, and later ops can start.
 *   - a program may be kept outside of its slot and be published again when it is complete; its ranges
 *     then name another epoch. Its memory stays readable until every worker has left it behind, or is not in
 *     C: see Control in src/pool/control.ts.
 *
 * The publisher's thread may work in the place of the last worker, which sits out meanwhile: until a program
 * is complete (dp_help), or for a turn of its event loop (dp_help_briefly), in which it claims no more than
 * it expects to run in that time. `seats` says which workers sit out. A worker that has not seen the change yet
 * does no harm, because ranges depend only on epochs and claims.
 *
 * What orders memory:
 *
 *   publish  A: ops, ranges written        B: store epoch (seq_cst)   C: JavaScript loads seats
 *   worker   D: load epoch (acquire)       E: claims, runs            F: done += n (acq_rel)
 *   parking  G: JavaScript stores PARKED   H: JavaScript loads epoch (both seq_cst), then waits
 *   finish   I: store completed            J: exchange notice, post a message if it was 0
 *   settling K: JavaScript stores notice 0 L: JavaScript loads completed (all four seq_cst)
 *   seating  M: JavaScript raises seats    N: JavaScript loads seats' states
 *   parking  G: JavaScript stores PARKED   O: JavaScript loads seats (all four seq_cst), then waits
 *   closing  P: JavaScript stores stop     N: JavaScript loads seats' states
 *   parking  G: JavaScript stores PARKED   Q: JavaScript loads stop (all four seq_cst), then waits
 *
 *   B before D makes A visible to E. F before a waiter's load of `done` (acquire) makes one op's
 *   results visible to the next, and I before L makes them visible to JavaScript. B before C and G
 *   before H are sequentially consistent, so at least one side sees the other: either the publisher
 *   sees the seat parked and wakes it, or the worker sees the new epoch and does not sleep. Likewise I
 *   before J and K before L: either JavaScript finds the program complete, or it is sent a message. And
 *   M before N and G before O: a worker that sat out is woken, or sees that it has a seat again; and P before
 *   N and G before Q: a worker is woken to leave, or sees that it has to. To lower seats needs no order.
 *   Everything that the publisher's thread does in C comes after its own A and B, and before its own L, so
 *   that D, E, F and I hold for it as for any worker.
 */
#include <stdbool.h>
#include <string.h>

#include "cpu.h"
#include "kernel_table.h"
#include "system.h"
#include "units.h"

/* Spins for a moment; after a while yields the core, which the other thread may need. */
static inline void spin(uint32_t spins) {
  if (spins < DP_SPINS_BEFORE_YIELD) {
    dp_relax();
  } else {
    dp_yield();
  }
}

static inline dp_slot *slot_of(dp_region *region, uint32_t epoch) { return &region->ring[epoch % DP_RING]; }

static inline const dp_kernels *kernels_of(const dp_region *region) {
  return (const dp_kernels *)(uintptr_t)region->kernels;
}

/* ---- ranges of units ---------------------------------------------------------------------------- */

static inline uint64_t make_range(uint32_t epoch, uint32_t first, uint32_t last) {
  return (uint64_t)epoch << 32 | first << 16 | last;
}

typedef struct dp_claim {
  uint32_t first, last;
} dp_claim;

/* Half of what is left: large pieces first, small ones towards the end, so that all end together. */
static inline uint32_t share_of(uint32_t left, uint32_t grain, uint32_t least, uint32_t cap) {
  uint32_t share = left < 2 * least ? left : (left + 1) / 2;
  if (share > cap) share = cap;
  return share > grain ? share - share % grain : share;
}

/* Claims at most `cap` units of the op, the worker's own first. False: none are left. */
static bool claim_units(dp_progress *progress, uint32_t epoch, dp_worker *worker, uint32_t threads, uint32_t cap,
                        dp_claim *claim) {
  const uint32_t index = worker->index;
  const uint32_t grain = atomic_load_explicit(&progress->grain, memory_order_relaxed);
  const uint32_t least = atomic_load_explicit(&progress->least, memory_order_relaxed);
  const uint32_t owners = atomic_load_explicit(&progress->pinned, memory_order_relaxed) ? 1 : threads;
  for (uint32_t i = 0; i < owners; i++) {
    const uint32_t owner = index + i < threads ? index + i : index + i - threads;
    uint64_t range = atomic_load_explicit(&progress->range[owner], memory_order_acquire);
    while (range >> 32 == epoch) {
      const uint32_t first = range >> 16 & 0xffff, last = range & 0xffff;
      if (first == last) break;
      const uint32_t share = share_of(last - first, grain, least, cap);
      const bool own = owner == index;
      const uint64_t rest = own ? make_range(epoch, first + share, last) : make_range(epoch, first, last - share);
      if (atomic_compare_exchange_weak_explicit(&progress->range[owner], &range, rest, memory_order_acq_rel,
                                                memory_order_acquire)) {
        atomic_store_explicit(&worker->held, share, memory_order_relaxed);
        claim->first = own ? first : last - share;
        claim->last = claim->first + share;
        return true;
      }
    }
  }
  return false;
}

/* Divides the units among the workers, in whole grains where there are many. */
static void share_out(dp_progress *progress, uint32_t epoch, dp_plan plan, uint32_t flags, uint32_t threads) {
  atomic_store_explicit(&progress->done, 0, memory_order_relaxed);
  atomic_store_explicit(&progress->units, plan.units, memory_order_relaxed);
  atomic_store_explicit(&progress->span, plan.span, memory_order_relaxed);
  atomic_store_explicit(&progress->grain, plan.grain, memory_order_relaxed);
  atomic_store_explicit(&progress->least, plan.least, memory_order_relaxed);
  atomic_store_explicit(&progress->cap, plan.cap, memory_order_relaxed);
  atomic_store_explicit(&progress->macs, plan.macs, memory_order_relaxed);
  atomic_store_explicit(&progress->pinned, plan.pinned, memory_order_relaxed);
  atomic_store_explicit(&progress->together, (flags & DP_TOGETHER) != 0, memory_order_relaxed);
  atomic_store_explicit(&progress->after, (flags & DP_AFTER) != 0, memory_order_relaxed);
  const uint32_t step = plan.units >= 4 * plan.grain * threads ? plan.grain : 1;
  const uint64_t steps = (plan.units + step - 1) / step;
  uint32_t first = 0;
  for (uint32_t w = 0; w < threads; w++) {
    uint32_t last = (uint32_t)(steps * (w + 1) / threads) * step;
    if (last > plan.units) last = plan.units;
    atomic_store_explicit(&progress->range[w], make_range(epoch, first, last), memory_order_release);
    first = last;
  }
}

/* ---- publishing --------------------------------------------------------------------------------- */

uint64_t dp_progress_bytes(uint32_t threads) {
  const uint64_t bytes = offsetof(dp_progress, range) + threads * sizeof(uint64_t);
  return (bytes + DP_CACHE_LINE - 1) / DP_CACHE_LINE * DP_CACHE_LINE;
}

static inline dp_progress *progress_at(uint64_t first, uint32_t i, uint32_t threads) {
  return (dp_progress *)(uintptr_t)(first + i * dp_progress_bytes(threads));
}

uint32_t dp_publish(dp_region *region, const dp_op *ops, dp_progress *progress, uint32_t op_count, uint32_t silent) {
  const uint32_t epoch = atomic_load_explicit(&region->epoch, memory_order_relaxed) + 1;
  dp_slot *slot = slot_of(region, epoch);
  if (ops == NULL) {
    ops = slot->own_ops;
    progress = slot->own_progress;
  }
  atomic_store_explicit(&slot->epoch, epoch, memory_order_release);
  atomic_store_explicit(&slot->ops, (uint64_t)(uintptr_t)ops, memory_order_release);
  atomic_store_explicit(&slot->progress, (uint64_t)(uintptr_t)progress, memory_order_release);
  atomic_store_explicit(&slot->op_count, op_count, memory_order_release);
  atomic_store_explicit(&slot->silent, silent, memory_order_relaxed);
  atomic_store_explicit(&slot->fault, 0, memory_order_relaxed);
  atomic_store_explicit(&slot->aborted, 0, memory_order_relaxed);
  atomic_store_explicit(&slot->ops_done, 0, memory_order_relaxed);
  for (uint32_t i = 0; i < op_count; i++) {
    const dp_plan plan = dp_plan_op(&ops[i], kernels_of(region), region->threads);
    share_out(progress_at((uint64_t)(uintptr_t)progress, i, region->threads), epoch, plan, ops[i].flags,
              region->threads);
  }
  atomic_store_explicit(&region->epoch, epoch, memory_order_seq_cst);
  return epoch;
}

/* ---- running ------------------------------------------------------------------------------------ */

typedef enum outcome {
  PASSED,   /* no unit is left to claim here */
  FINISHED, /* this worker ran the last unit of the program */
  LEAVING,  /* see `leave` */
  GOES_ON,  /* units of this op are not done yet */
} outcome;

/* One stay in C: who is here and until when. */
typedef struct dp_stay {
  dp_region *region;
  dp_worker *worker;
  bool publisher;    /* works in the place of the last worker: nothing but the deadline ends its stay */
  bool in_turn;      /* of its event loop, so that no claim shall take long */
  uint64_t deadline; /* leaves about here */
  uint64_t clock;    /* when it last looked */
  dp_leave leave;
  bool has_long_units; /* left because a unit takes too long for a turn of an event loop */
} dp_stay;

static bool must_leave(dp_stay *stay) {
  if (stay->publisher) return stay->clock >= stay->deadline;
  if (atomic_load_explicit(&stay->region->stop, memory_order_relaxed)) {
    stay->leave = DP_LEAVE_STOP;
  } else if (stay->worker->index >= atomic_load_explicit(&stay->region->seats, memory_order_relaxed)) {
    stay->leave = DP_LEAVE_UNSEATED;
  } else if (stay->clock >= stay->deadline) {
    stay->leave = DP_LEAVE_SLICE;
  } else {
    return false;
  }
  return true;
}

static inline void count(_Atomic uint64_t *counter, uint64_t more) {
  /* only the worker itself writes its counters, so this need not be a read-modify-write */
  uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, before + more, memory_order_relaxed);
}

/* Adds the time since the stay last looked at the clock to `counter`, and returns it. */
static uint64_t count_time(dp_stay *stay, _Atomic uint64_t *counter) {
  const uint64_t now = dp_now_ns(), passed = now - stay->clock;
  count(counter, passed);
  stay->clock = now;
  return passed;
}

/* A turn of a loop that waits for other workers. False: it is time to leave. */
static bool keep_waiting(dp_stay *stay, uint32_t spins) {
  if ((spins + 1) % DP_SPINS_PER_CLOCK == 0) count_time(stay, &stay->worker->stats.wait_ns);
  if (must_leave(stay)) return false;
  spin(spins);
  return true;
}

/* A program as a worker found it. */
typedef struct dp_program {
  dp_slot *slot;
  uint32_t epoch, op_count;
  const dp_op *ops;
  uint64_t progress;
} dp_program;

/*
 * Reads where the ops of program `epoch` are. False: its slot holds another one. The slot may change
 * hands in between; then what was read is not of this program, and the second look at the epoch, which
 * was written before all else, tells.
 */
static bool find_program(dp_region *region, uint32_t epoch, dp_program *program) {
  dp_slot *slot = slot_of(region, epoch);
  if (atomic_load_explicit(&slot->epoch, memory_order_acquire) != epoch) return false;
  program->slot = slot;
  program->epoch = epoch;
  program->ops = (const dp_op *)(uintptr_t)atomic_load_explicit(&slot->ops, memory_order_acquire);
  program->progress = atomic_load_explicit(&slot->progress, memory_order_acquire);
  program->op_count = atomic_load_explicit(&slot->op_count, memory_order_acquire);
  return atomic_load_explicit(&slot->epoch, memory_order_relaxed) == epoch;
}

/* Counts `worker`'s claim on an op as done. PASSED: this was the last of the op. */
static inline outcome settle_claim(dp_worker *worker, const dp_program *program, dp_progress *progress,
                                   uint32_t claimed) {
  const uint32_t units = atomic_load_explicit(&progress->units, memory_order_relaxed);
  const uint32_t done = atomic_fetch_add_explicit(&progress->done, claimed, memory_order_acq_rel) + claimed;
  atomic_store_explicit(&worker->held, 0, memory_order_relaxed);
  if (done != units) return GOES_ON;
  const uint32_t ops = atomic_fetch_add_explicit(&program->slot->ops_done, 1, memory_order_acq_rel) + 1;
  if (ops != program->op_count) return PASSED;
  atomic_store_explicit(&program->slot->completed, program->epoch, memory_order_seq_cst);
  return FINISHED;
}

/* ---- how long claims take ------------------------------------------------------------------------ */

enum {
  PACE_MACS = 1 << 20,        /* a pace is how long so many multiply-adds take */
  LONG_CLAIM_NS = 250 * 1000, /* an event loop does not wait for a claim longer than this */
};

/*
 * Updates the moving mean of how long claims take. One claim weighs little, for the system may have suspended its
 * thread meanwhile. Written only when it changes, because all workers read it all the time.
 */
static void learn_pace(_Atomic uint64_t *pace, uint64_t macs, uint64_t passed_ns) {
  const uint64_t before = atomic_load_explicit(pace, memory_order_relaxed);
  const uint64_t seen = passed_ns * PACE_MACS / macs;
  const uint64_t most = before == 0 ? seen : 2 * before, now = seen < most ? seen : most;
  const uint64_t mean = before == 0 ? now : (3 * before + now) / 4;
  const uint64_t change = mean > before ? mean - before : before - mean;
  if (change > before / 8) atomic_store_explicit(pace, mean, memory_order_relaxed);
}

/*
 * How many units of op `i` the publisher's thread claims at once in a turn of its event loop: those that fit,
 * or units that belong together; 0 where even one takes too long. It may read the op before it claims, because
 * only the publisher reuses slots.
 */
static uint32_t fitting_units(const dp_stay *stay, const dp_program *program, uint32_t i, const dp_progress *progress) {
  const uint64_t pace = atomic_load_explicit(&stay->region->pace[program->ops[i].kind], memory_order_relaxed);
  const uint64_t macs = atomic_load_explicit(&progress->macs, memory_order_relaxed);
  const uint64_t grain = atomic_load_explicit(&progress->grain, memory_order_relaxed);
  if (pace == 0) return (uint32_t)grain; /* one has to try */
  const uint64_t unit_ns = macs * pace / PACE_MACS + 1;
  const uint64_t left_ns = stay->deadline > stay->clock ? stay->deadline - stay->clock : 0;
  const uint64_t fitting = left_ns / unit_ns, most = LONG_CLAIM_NS / unit_ns;
  const uint64_t least = grain < most ? grain : most;
  return (uint32_t)(fitting > least ? fitting : least);
}

/* Runs what this worker can claim of op `i`. FINISHED: it ran the last unit of the program. */
static outcome run_op(dp_stay *stay, const dp_program *program, uint32_t i, uint32_t stage) {
  dp_region *region = stay->region;
  dp_worker *worker = stay->worker;
  dp_slot *slot = program->slot;
  const uint32_t epoch = program->epoch;
  dp_progress *progress = progress_at(program->progress, i, region->threads);
  for (;;) {
    uint32_t cap = atomic_load_explicit(&progress->cap, memory_order_relaxed);
    if (stay->in_turn) {
      const uint32_t fitting = fitting_units(stay, program, i, progress);
      stay->has_long_units = fitting == 0;
      if (fitting == 0) return LEAVING;
      if (cap > fitting) cap = fitting;
    }
    dp_claim claim;
    if (!claim_units(progress, epoch, worker, region->threads, cap, &claim)) return PASSED;
    const uint32_t units = claim.last - claim.first;
    if (!atomic_load_explicit(&slot->aborted, memory_order_relaxed)) {
      dp_place place = {
          .op = &program->ops[i],
          .kernels = kernels_of(region),
          .epoch = epoch,
          .stage = stage,
          .span = atomic_load_explicit(&progress->span, memory_order_relaxed),
          .threads = region->threads,
          .worker = worker,
          .fault = &slot->fault,
      };
      count(&worker->stats.weight_bytes, dp_run_units(&place, claim.first, claim.last));
      count(&worker->stats.units, units);
      const uint64_t macs = (uint64_t)units * atomic_load_explicit(&progress->macs, memory_order_relaxed);
      learn_pace(&region->pace[program->ops[i].kind], macs, count_time(stay, &worker->stats.busy_ns));
    }
    const outcome how = settle_claim(worker, program, progress, units);
    if (how != GOES_ON) return how;
    if (must_leave(stay)) return LEAVING;
  }
}

/* Waits until `count` ops are done, or the slot holds another program. */
static outcome wait_for_ops(dp_stay *stay, dp_slot *slot, uint32_t epoch, uint32_t count) {
  for (uint32_t spins = 0;; spins++) {
    if (atomic_load_explicit(&slot->ops_done, memory_order_acquire) >= count) break;
    if (atomic_load_explicit(&slot->epoch, memory_order_acquire) != epoch) break;
    if (!keep_waiting(stay, spins)) return LEAVING;
  }
  count_time(stay, &stay->worker->stats.wait_ns);
  return PASSED;
}

/* A program is complete, too, if its slot holds another one. */
static bool is_complete(const dp_slot *slot, uint32_t epoch) {
  return atomic_load_explicit(&slot->completed, memory_order_acquire) == epoch ||
         atomic_load_explicit(&slot->epoch, memory_order_acquire) != epoch;
}

/* Waits until all programs before `epoch` are complete. */
static outcome wait_for_programs(dp_stay *stay, uint32_t epoch) {
  for (uint32_t before = epoch - DP_RING + 1; before != epoch; before++) {
    const dp_slot *slot = slot_of(stay->region, before);
    for (uint32_t spins = 0; !is_complete(slot, before); spins++) {
      if (!keep_waiting(stay, spins)) return LEAVING;
    }
  }
  count_time(stay, &stay->worker->stats.wait_ns);
  return PASSED;
}

/* Asks for all lines that the program's first op takes, so that they come together. */
static inline void fetch_slot(const dp_slot *slot, uint32_t index) {
  __builtin_prefetch(slot, 1);
  __builtin_prefetch(&slot->own_ops[0]);
  __builtin_prefetch((const char *)&slot->own_ops[0] + DP_CACHE_LINE);
  __builtin_prefetch(&slot->own_progress[0].done, 1);
  __builtin_prefetch(&slot->own_progress[0].units);
  __builtin_prefetch(&slot->own_progress[0].range[index], 1);
}

/* Whether op `i` need not wait for those before it. */
static bool is_together(const dp_program *program, uint32_t i, uint32_t threads) {
  const dp_progress *progress = progress_at(program->progress, i, threads);
  return i == 0 || atomic_load_explicit(&progress->together, memory_order_relaxed);
}

/* Runs this worker's share of program `epoch`, from the op where it left off. */
static outcome run_program(dp_stay *stay, uint32_t epoch) {
  dp_worker *worker = stay->worker;
  dp_program program;
  fetch_slot(slot_of(stay->region, epoch), worker->index);
  if (!find_program(stay->region, epoch, &program)) return PASSED;
  if (atomic_load_explicit(&program.slot->completed, memory_order_acquire) == epoch) return PASSED;
  if (worker->entered != epoch) count(&worker->stats.regions, 1);
  worker->entered = epoch;
  const uint32_t threads = stay->region->threads;
  const dp_progress *first = progress_at(program.progress, 0, threads);
  if (atomic_load_explicit(&first->after, memory_order_relaxed) && wait_for_programs(stay, epoch) == LEAVING) {
    return LEAVING;
  }
  uint32_t stage = worker->op;
  while (stage > 0 && is_together(&program, stage, threads)) stage--;
  for (uint32_t i = worker->op; i < program.op_count; i++) {
    if (!is_together(&program, i, threads)) {
      if (wait_for_ops(stay, program.slot, epoch, i) == LEAVING) return LEAVING;
      stage = i;
    }
    const outcome how = run_op(stay, &program, i, stage);
    if (how != PASSED) return how;
    worker->op = i + 1;
    if (i + 1 < program.op_count && must_leave(stay)) return LEAVING;
  }
  return PASSED;
}

static inline uint32_t cursor_of(const dp_worker *worker) {
  return atomic_load_explicit(&worker->cursor, memory_order_relaxed);
}

/* The worker is finished with program `epoch` and those before it: it reads nothing of them any more. */
static void finish_with(dp_worker *worker, uint32_t epoch) {
  atomic_store_explicit(&worker->cursor, epoch, memory_order_release);
  worker->op = 0;
}

/* The next program that this worker is not finished with; there is one. */
static uint32_t next_program(dp_worker *worker, uint32_t published) {
  if (published - cursor_of(worker) > DP_RING) finish_with(worker, published - DP_RING);
  return cursor_of(worker) + 1;
}

int dp_serve(dp_region *region, uint32_t index, uint64_t spin_ns, uint64_t slice_ns) {
  dp_worker *worker = &region->workers[index];
  const uint64_t start = dp_now_ns();
  dp_stay stay = {.region = region, .worker = worker, .deadline = start + slice_ns, .clock = start};
  for (uint32_t spins = 0;; spins++) {
    const uint32_t published = atomic_load_explicit(&region->epoch, memory_order_acquire);
    if (published != cursor_of(worker)) {
      if (spins > 0) count_time(&stay, &worker->stats.wait_ns);
      if (must_leave(&stay)) return stay.leave;
      const uint32_t epoch = next_program(worker, published);
      const outcome how = run_program(&stay, epoch);
      if (how == LEAVING) return stay.leave;
      finish_with(worker, epoch);
      worker->idle_since = stay.clock;
      spins = 0;
      const dp_slot *slot = slot_of(region, epoch);
      if (how == FINISHED && !atomic_load_explicit(&slot->silent, memory_order_relaxed) &&
          atomic_exchange_explicit(&region->notice, 1, memory_order_seq_cst) == 0) {
        return DP_LEAVE_NOTICE;
      }
      continue;
    }
    dp_relax();
    if (spins % DP_SPINS_PER_CLOCK != 0) continue;
    /* where workers hold every core, the thread that would publish needs one of them */
    if (spins >= DP_SPINS_BEFORE_YIELD) dp_yield();
    const uint64_t before = stay.clock;
    count_time(&stay, &worker->stats.wait_ns);
    if (atomic_load_explicit(&region->stop, memory_order_relaxed)) return DP_LEAVE_STOP;
    if (before >= worker->idle_since + spin_ns) return DP_LEAVE_IDLE;
    if (must_leave(&stay)) return stay.leave;
  }
}

/* Works in the place of the last worker until program `epoch` is complete, or the stay must end. */
static void help(dp_stay *stay, uint32_t epoch) {
  dp_region *region = stay->region;
  dp_worker *worker = stay->worker;
  const dp_slot *slot = slot_of(region, epoch);
  for (uint32_t spins = 0; !is_complete(slot, epoch); spins++) {
    const uint32_t published = atomic_load_explicit(&region->epoch, memory_order_relaxed);
    if (published != cursor_of(worker)) {
      const uint32_t next = next_program(worker, published);
      if (run_program(stay, next) == LEAVING) return;
      finish_with(worker, next);
      spins = 0;
    } else if (!keep_waiting(stay, spins)) {
      return;
    }
  }
  count_time(stay, &worker->stats.wait_ns);
}

uint32_t dp_help(dp_region *region, uint32_t epoch, uint64_t slice_ns) {
  dp_worker *worker = &region->workers[region->threads];
  const uint64_t start = dp_now_ns();
  dp_stay stay = {.region = region, .worker = worker, .publisher = true, .deadline = start + slice_ns, .clock = start};
  help(&stay, epoch);
  return is_complete(slot_of(region, epoch), epoch);
}

uint32_t dp_help_briefly(dp_region *region, uint32_t epoch, uint64_t turn_ns) {
  dp_worker *worker = &region->workers[region->threads];
  const uint64_t start = dp_now_ns();
  dp_stay stay = {.region = region,
                  .worker = worker,
                  .publisher = true,
                  .in_turn = true,
                  .deadline = start + turn_ns,
                  .clock = start};
  help(&stay, epoch);
  return !stay.has_long_units;
}

void dp_retire(dp_region *region, uint32_t index) {
  dp_worker *worker = &region->workers[index];
  const uint32_t held = atomic_load_explicit(&worker->held, memory_order_relaxed);
  dp_program program;
  if (held > 0 && find_program(region, worker->entered, &program)) {
    settle_claim(worker, &program, progress_at(program.progress, worker->op, region->threads), held);
  }
  worker->op = 0;
  /* its scratch may hold half a row, of a program that is aborted: nothing reads it */
}

/* ---- setting up --------------------------------------------------------------------------------- */

static size_t region_head_bytes(void) {
  return (sizeof(dp_region) + DP_CACHE_LINE - 1) / DP_CACHE_LINE * DP_CACHE_LINE;
}

/* Bytes of a worker's stack and scratch memory. */
static uint64_t worker_bytes(const dp_kernels *kernels) { return DP_STACK_BYTES + dp_scratch_bytes(kernels); }

uint64_t dp_region_bytes(uint32_t threads) {
  return region_head_bytes() + (uint64_t)(threads + 1) * worker_bytes(dp_active_kernels());
}

void dp_region_init(dp_region *region, uint32_t threads) {
  region->threads = threads;
  region->kernels = (uint64_t)(uintptr_t)dp_active_kernels();
  atomic_store(&region->seats, threads);
  const uint64_t memory = (uint64_t)(uintptr_t)region + region_head_bytes();
  for (uint32_t w = 0; w <= threads; w++) {
    region->workers[w].index = w < threads ? w : threads - 1;
    region->workers[w].scratch = memory + w * worker_bytes(kernels_of(region)) + DP_STACK_BYTES;
  }
}

uint64_t dp_region_row_stride(const dp_region *region, uint32_t k) { return dp_row_stride(kernels_of(region), k); }
