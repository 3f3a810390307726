/*
 * region.pml: the protocol of the region, for the model checker Spin; README.md says what is covered and how.
 *
 * Every statement here is one access to shared memory, or none. Inlines have the names of the functions that they
 * model: those of native/src/region.c, of src/pool/worker.ts (park), supervisor.ts (wake, enlist, dismiss_idle, send_home)
 * and region.ts (publish, settle_completed, listen, fail, mourn, rest, run_sync, finish, close). `#ifdef FAULT_…`
 * injects a fault that the checker has to find.
 */

/* ---- bounds, which `make check-model` sets ------------------------------------------------------- */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef PROGRAMS
#define PROGRAMS 3
#endif
#ifndef UNITS
#define UNITS 2 /* of an op; at most 8 */
#endif
#ifndef DEATHS
#define DEATHS 0 /* threads that are killed */
#endif
#ifndef ABORTS
#define ABORTS 0 /* calls whose signal aborts */
#endif
#ifndef DISMISSALS
#define DISMISSALS 0 /* times that the timer finds the pool idle */
#endif
#ifndef SYNC
#define SYNC 0 /* the program that is run by runSync; 0: none */
#endif

#ifndef RING
#define RING 2 /* slots */
#endif
#define OPS 2  /* of a program, at most */

/*
 * The programs: the first is kept in a list of its own, one op long. The second lies in its slot and has two ops, one
 * after the other. The third reuses the first one's slot; its two ops run together, after all programs before. Later
 * programs repeat these three.
 */
#define shape(e) ((e - 1) % 3)
#define is_kept(e) (shape(e) == 0)
#define ops_of(e) (shape(e) == 0 -> 1 : 2)
#define is_together(e, i) (i == 0 || shape(e) == 2)
#define is_after(e) (shape(e) == 2)

/* ---- shared memory: dp_region -------------------------------------------------------------------- */

byte epoch; /* the doorbell */
bool stop;
byte seats = WORKERS;
bool notice;

typedef Slot {
  byte epoch, list, op_count, ops_done, completed;
  bool aborted
}
Slot slot[RING];

/* Lists of progress: each slot's own, and the kept one. */
#define KEPT RING
#define LISTS (RING + 1)
#define progress_at(list, i) ((list) * OPS + (i))
#define range_at(list, i, w) (progress_at(list, i) * WORKERS + (w))
typedef Range { byte epoch, first, last }
Range range[LISTS * OPS * WORKERS];
byte units_done[LISTS * OPS];
bool freed; /* the kept list's memory is freed */

/* Workers; the last is the publisher's thread. */
mtype = { EMPTY, TAKEN, PARKED, DISMISSED };
mtype seat[WORKERS] = EMPTY;
typedef Worker { byte cursor, op, entered, held }
Worker worker[WORKERS + 1];

/* ---- what the system does ------------------------------------------------------------------------ */

bool asleep[WORKERS];  /* in Atomics.wait */
bool task[WORKERS];    /* Piscina has a task for this seat */
bool message[WORKERS]; /* posted, not yet received */
byte deaths_left = DEATHS;
bool dead[WORKERS];    /* its thread has ended, and the publisher's thread has not been notified */

/* ---- what is checked ----------------------------------------------------------------------------- */

byte ran[(PROGRAMS + 1) * OPS]; /* units that were really run, a bit each */
bool failed[PROGRAMS + 1];      /* the caller got an error */
byte settled;                   /* programs settled, in order */
bool is_over;                   /* the pool ends its threads */
byte threads_gone;                   /* threads that have ended for good */
bool released;                  /* the memory of all programs is freed */

#define ALL_UNITS ((1 << UNITS) - 1)
#define has_run(e, i) (ran[(e) * OPS + (i)] == ALL_UNITS)
#define is_whole(e) (has_run(e, 0) && (ops_of(e) == 1 || has_run(e, 1)))

inline run_units(e, i, first, last) {
  d_step {
    assert(settled < e && !released); /* its memory still exists */
    u = (slot[e % RING].aborted -> last : first);
    assert(u == last || !is_after(e) || e == 1 || is_whole(e - 1) || failed[e - 1]);
    assert(u == last || is_together(e, i) || has_run(e, 0));
    do
    :: u < last ->
       assert((ran[e * OPS + i] & (1 << u)) == 0); /* it has not run yet */
       ran[e * OPS + i] = ran[e * OPS + i] | (1 << u);
       u++
    :: else -> break
    od;
    u = 0
  }
}

/* ---- stores that could be late ------------------------------------------------------------------- */

/*
 * Where the protocol needs a sequentially consistent store before a load, a weaker store may become visible late. A
 * fault weakens one of them: the store waits in a buffer until `buffers` flushes it.
 */
#ifdef FAULT_EPOCH_RELEASED
byte late_epoch;
#define store_epoch(e) late_epoch = e
#else
#define store_epoch(e) epoch = e
#endif
#ifdef FAULT_SEATS_RELEASED
byte late_seats; /* 1 more, or 0 */
#define store_seats(n) late_seats = n + 1
#else
#define store_seats(n) seats = n
#endif
#ifdef FAULT_NOTICE_RELEASED
bool late_notice;
#define clear_notice() late_notice = true
#else
#define clear_notice() notice = false
#endif
#ifdef FAULT_COMPLETED_RELEASED
byte late_completed[RING];
#define store_completed(e) late_completed[e % RING] = e
#else
#define store_completed(e) slot[e % RING].completed = e
#endif
#ifdef FAULT_STOP_RELEASED
bool late_stop;
#define store_stop() late_stop = true
#else
#define store_stop() stop = true
#endif
#ifdef FAULT_PARKED_RELEASED
bool late_parked[WORKERS];
#define store_parked(w) late_parked[w] = true
#define flush_parked(w) if :: late_parked[w] -> late_parked[w] = false; seat[w] = PARKED :: else fi
#else
#define store_parked(w) seat[w] = PARKED
#define flush_parked(w) skip
#endif

/* ---- region.c ------------------------------------------------------------------------------------ */

/*
 * Where threads may end: any statement of JavaScript, and with WebAssembly any function's entry and any iteration of a
 * loop. Native code is never interrupted. The model has one such place before each write that a successor or `retire`
 * reads, and where a thread waits; the others are equivalent.
 */
#if DEATHS > 0
/* Restricts the search: only worker VICTIM dies, and only once it has left VICTIM_LEFT programs behind. */
#ifdef VICTIM
#define is_victim(w) (w == VICTIM && worker[w].cursor == VICTIM_LEFT)
#else
#define is_victim(w) true
#endif
#define may_be_killed(w) (deaths_left > 0 && !is_over && is_victim(w))
#define count_death() deaths_left = (deaths_left > 0 -> deaths_left - 1 : 0)
#else
#define may_be_killed(w) false
#define count_death() skip
#endif
#ifdef TERMINATES
#define may_die(w) (w < WORKERS && (may_be_killed(w) || is_over))
#else
#define may_die(w) (w < WORKERS && may_be_killed(w))
#endif
#ifdef KILLS_IN_C
#define may_die_in_c(w) may_die(w)
#else
#define may_die_in_c(w) false
#endif
#define maybe_die(w) if :: atomic { may_die(w) -> count_death(); goto ended } :: true fi
#define maybe_die_in_c(w) if :: atomic { may_die_in_c(w) -> count_death(); goto ended } :: true fi

/* Reads a program's slot into `found`, `list` and `op_count`. */
inline find_program(e) {
  found = false;
  if
  :: slot[e % RING].epoch == e ->
     list = slot[e % RING].list;
     op_count = slot[e % RING].op_count;
#ifdef FAULT_NO_SECOND_LOOK
     found = true
#else
     found = slot[e % RING].epoch == e
#endif
  :: else
  fi
}

/* An access to a list: it has this op, and its memory still exists. */
#define check_list(i) assert(list != KEPT || (i < 1 && !freed && !released))

/* The worker whose units a worker claims first. */
#define part_of(w) (w < WORKERS -> w : WORKERS - 1)

#ifdef FAULT_CLAIM_WITHOUT_EPOCH
#define claim_is_of(e) true
#define still_epoch() true
#else
#define claim_is_of(e) (seen_epoch == e)
#define still_epoch() (range[owner].epoch == seen_epoch)
#endif
#ifdef FAULT_NO_NOTE
#define note_claim(w) skip
#else
#define note_claim(w) worker[w].held = share
#endif

/* Claims free units, the worker's own first: `first` and `share` of them, 0 if there are none. */
inline claim_units(w, e, i) {
  share = 0;
  o = 0;
  do
  :: o == WORKERS -> o = 0; break
  :: atomic { may_die_in_c(w) -> count_death(); goto ended }
  :: o < WORKERS ->
     d_step {
       check_list(i);
       owner = range_at(list, i, (part_of(w) + o) % WORKERS);
       seen_epoch = range[owner].epoch; first = range[owner].first; last = range[owner].last
     }
     if
     :: first < last && claim_is_of(e) ->
        if
        :: share = last - first
        :: last - first > 1 -> share = 1
        fi;
#ifdef FAULT_CLAIM_BY_STORE
        atomic {
          true ->
#else
        atomic {
          if
          :: range[owner].first == first && range[owner].last == last && still_epoch() ->
#endif
             if
             :: o == 0 -> range[owner].first = first + share
             :: else -> range[owner].last = last - share; first = last - share
             fi;
             last = first + share;
             owner = 0; seen_epoch = 0; o = 0;
             note_claim(w);
             break
#ifndef FAULT_CLAIM_BY_STORE
          :: else -> share = 0
          fi
#endif
        }
     :: else -> o++
     fi
  od
}
#ifdef FAULT_NOTE_STAYS
#define clear_note(w) skip
#else
#define clear_note(w) worker[w].held = 0
#endif

/*
 * Counts a claim as done. No thread ends in here, nor between a claim and its note. Sets `finished` if this was the
 * program's last unit, `all` if it was the op's.
 */
inline settle_claim(w, e, i, claimed) {
  all = false;
  finished = false;
  atomic {
    check_list(i);
    units_done[progress_at(list, i)] = units_done[progress_at(list, i)] + claimed;
    all = units_done[progress_at(list, i)] == UNITS;
    clear_note(w)
  }
  if
  :: all ->
     atomic {
       slot[e % RING].ops_done++;
       finished = slot[e % RING].ops_done == op_count
     }
     if
     :: finished -> store_completed(e)
     :: else
     fi
  :: else
  fi
}
/*
 * Reasons to leave a loop: `stop`, a lost seat, the end of a slice, which may come at any time. The publisher's thread
 * has only the last, and only within a turn of its event loop.
 */
#ifdef SLICES
#define slice_ends(w) (w < WORKERS || in_turn)
#else
#define slice_ends(w) (w == WORKERS && in_turn)
#endif
#define must_leave(w) (w < WORKERS && (stop || w >= seats))

inline wait_until(w, condition) {
  if
  :: condition
  :: must_leave(w) -> leaving = true
  :: slice_ends(w) -> leaving = true
  :: atomic { may_die_in_c(w) -> count_death(); goto ended }
  fi
}

/* Runs the units of op i that this worker can claim. */
inline run_op(w, e, i) {
  do
  :: w == WORKERS && in_turn -> leaving = true; break /* even one unit takes too long */
  :: claim_units(w, e, i);
     if
     :: share == 0 -> first = 0; last = 0; seen_epoch = 0; owner = 0; break
     :: else
     fi;
#ifdef FAULT_COUNT_FIRST
     settle_claim(w, e, i, share);
#endif
     maybe_die_in_c(w);
     run_units(e, i, first, last);
     maybe_die_in_c(w);
#ifndef FAULT_COUNT_FIRST
     settle_claim(w, e, i, share);
#endif
     first = 0; last = 0; share = 0;
     if
     :: all -> break
     :: else
     fi;
     if
     :: must_leave(w) -> leaving = true; break
     :: slice_ends(w) -> leaving = true; break
     :: !must_leave(w)
     fi
  od;
  all = false
}

#define is_complete(e) (slot[(e) % RING].completed == e || slot[(e) % RING].epoch != e)

/* Runs a worker's share of program e, from the op where it stopped before. Sets `leaving` or `finished`. */
inline run_program(w, e) {
  leaving = false;
  finished = false;
  find_program(e);
  if
  :: found -> d_step { found = slot[e % RING].completed != e; if :: found -> worker[w].entered = e :: else fi }
  :: else
  fi;
  if
  :: found ->
#ifndef FAULT_NO_AFTER
     if
     :: is_after(e) -> wait_until(w, (e == 1 || is_complete(e - 1)))
     :: else
     fi;
#endif
     i = worker[w].op;
     do
     :: leaving || finished || i == op_count -> break
     :: else ->
#ifndef FAULT_NO_BARRIER
        if
        :: !is_together(e, i) -> wait_until(w, (slot[e % RING].ops_done >= i || slot[e % RING].epoch != e))
        :: else
        fi;
#endif
        if
        :: !leaving -> run_op(w, e, i)
        :: else
        fi;
        if
        :: !leaving && !finished ->
           atomic {
             i++;
             worker[w].op = i;
             if
             :: i < op_count && (must_leave(w) || slice_ends(w)) -> leaving = true
             :: i == op_count || !must_leave(w)
             fi
           }
        :: else
        fi
     od
  :: else
  fi;
  i = 0; list = 0; op_count = 0; found = false
}

/* The next program that this worker has not left behind. */
inline next_program(w, published) {
  d_step {
    if
    :: published - worker[w].cursor > RING -> worker[w].cursor = published - RING; worker[w].op = 0
    :: else
    fi;
    e = worker[w].cursor + 1
  }
}

inline finish_with(w) {
  d_step { worker[w].cursor = e; worker[w].op = 0; e = 0 }
}

/* ---- worker.ts: one seat, whichever thread takes it ---------------------------------------------- */

#define has_work(w) (epoch != worker[w].cursor)

/* Sleeps until there is work; sets `dismissed`. */
inline park(w) {
  maybe_die(w);
#ifdef FAULT_LOOK_BEFORE_PARKING
  found = stop || (has_work(w) && w < seats);
  store_parked(w);
#else
  store_parked(w);
  found = stop;
  if
  :: !found -> found = has_work(w)
  :: else
  fi;
  if
  :: found && !stop -> found = w < seats
  :: else
  fi;
#endif
  if
  :: found -> atomic { flush_parked(w); if :: seat[w] == PARKED -> seat[w] = TAKEN :: else fi }
  :: else
  fi;
  found = false;
  maybe_die(w);
  atomic { flush_parked(w); if :: seat[w] == PARKED -> asleep[w] = true :: else fi };
  if
  :: !asleep[w]
  :: atomic { may_die(w) -> count_death(); goto ended }
  fi;
  atomic {
    if
    :: seat[w] == DISMISSED -> seat[w] = EMPTY; dismissed = true
    :: else -> dismissed = false
    fi
  }
}

proctype resident(byte w) {
  byte e, i, list, op_count, first, last, share, seen_epoch, owner, o, u;
  bool found, all, finished, leaving, dismissed, in_turn;
in_piscina:
  if
  :: atomic { task[w] -> task[w] = false }
  :: is_over && !task[w] -> goto gone
  fi;
  do
  :: do /* dp_serve */
     :: epoch != worker[w].cursor ->
        if
        :: must_leave(w) -> break
        :: else
        fi;
        next_program(w, epoch);
        run_program(w, e);
        if
        :: leaving -> break
        :: else
        fi;
        maybe_die_in_c(w);
        found = finished && e != SYNC;
        finish_with(w);
        maybe_die_in_c(w);
        if
        :: found -> atomic { finished = !notice; notice = true }
        :: else -> finished = false
        fi;
        found = false;
        if
        :: finished -> break
        :: else
        fi
     :: must_leave(w) -> break
     :: atomic { may_die_in_c(w) -> count_death(); goto ended }
#ifdef PARKING
     :: epoch == worker[w].cursor -> break
#endif
     od;
     e = 0;
     leaving = false;
     maybe_die(w);
     if
     :: finished -> message[w] = true; finished = false
     :: else ->
        if
        :: stop -> break
        :: !stop && (w >= seats || epoch == worker[w].cursor) ->
           park(w);
           if
           :: dismissed -> dismissed = false; break
           :: else
           fi
        :: else
        fi
     fi
  od;
  goto in_piscina;
ended:
  atomic {
    e = 0; i = 0; list = 0; op_count = 0; first = 0; last = 0; share = 0; seen_epoch = 0; owner = 0; o = 0; u = 0;
    found = false; all = false; finished = false; leaving = false; dismissed = false;
    asleep[w] = false;
    if
    :: message[w] = false /* it may be lost */
    :: message[w]
    fi;
    dead[w] = true;
#ifdef NO_REVIVAL
    goto gone
#else
    goto in_piscina
#endif
  }
gone:
  threads_gone++
}

#ifdef NO_REVIVAL
#define revives false
#else
#define revives true
#endif

/* ---- supervisor.ts ------------------------------------------------------------------------------- */

inline enlist(w) {
  seat[w] = TAKEN;
  task[w] = true
}

#ifdef FAULT_NO_NOTIFY
#define wake_up(v) skip
#else
#define wake_up(v) asleep[v] = false
#endif

inline wake(count) {
  v = 0;
  do
  :: v < count ->
     state = seat[v];
     if
     :: state == TAKEN
#ifdef FAULT_DISMISSED_IS_AWAKE
     :: state == DISMISSED
#endif
     :: state == EMPTY -> enlist(v)
     :: else ->
        atomic { before = seat[v]; if :: before == state -> seat[v] = TAKEN :: else fi };
        if
        :: before == PARKED -> wake_up(v)
        :: before == EMPTY -> enlist(v)
        :: else
        fi
     fi;
     v++
  :: else -> break
  od;
  v = 0; state = 0; before = 0
}
inline dismiss_idle() {
  v = 0;
  do
  :: v < WORKERS ->
     atomic { state = seat[v]; if :: state == PARKED -> seat[v] = DISMISSED :: else fi };
     if
     :: state == PARKED -> asleep[v] = false
     :: else
     fi;
     v++
  :: else -> break
  od;
  v = 0; state = 0
}

inline send_home() {
  v = 0;
  do
  :: v < WORKERS ->
     atomic { if :: seat[v] == PARKED -> seat[v] = TAKEN :: else fi };
     asleep[v] = false;
     v++
  :: else -> break
  od;
  v = 0
}

/* ---- region.ts ----------------------------------------------------------------------------------- */

/* Gives every worker its share of op i. */
inline share_out(e, i) {
  d_step {
    units_done[progress_at(list, i)] = 0;
    v = 0;
    do
    :: v < WORKERS ->
       range[range_at(list, i, v)].epoch = e;
       range[range_at(list, i, v)].first = UNITS * v / WORKERS;
       range[range_at(list, i, v)].last = UNITS * (v + 1) / WORKERS;
       v++
    :: else -> break
    od;
    v = 0
  }
}

/* Control.publish and dp_publish, up to the doorbell. */
inline write_slot(e) {
  list = (is_kept(e) -> KEPT : e % RING);
  slot[e % RING].epoch = e;
  slot[e % RING].list = list;
  d_step { slot[e % RING].op_count = ops_of(e); slot[e % RING].aborted = false; slot[e % RING].ops_done = 0 }
  share_out(e, 0);
  if
  :: ops_of(e) == 2 -> share_out(e, 1)
  :: else
  fi;
  list = 0
}

inline publish(e) {
#ifdef FAULT_RING_FIRST
  store_epoch(e);
  write_slot(e)
#else
  write_slot(e);
  store_epoch(e)
#endif
}

/* Settles completed programs, the oldest first. The main loop publishes what then has room in the ring. */
inline settle_completed() {
  do
  :: settled == last_published -> break
  :: settled < last_published ->
     e = settled + 1;
     if
     :: flight[e % RING] == 0 -> settled = e
     :: else ->
        if
        :: slot[e % RING].completed == e ->
           d_step {
             assert(is_whole(e) || failed[e]); /* the caller gets all results */
             settled = e;
             flight[e % RING] = 0;
             in_flight--
           }
        :: else -> break
        fi
     fi
  od;
  e = 0
}

inline listen() {
#ifdef FAULT_LOOK_BEFORE_LISTENING
  settle_completed();
  clear_notice()
#else
  clear_notice();
  settle_completed()
#endif
}

/* Rejects the call of program e. */
inline fail(e) {
  failed[e] = true;
  slot[e % RING].aborted = true
}

inline seat_all() {
  store_seats(WORKERS);
  wake(WORKERS)
}

/* The thread of seat x died. */
inline mourn(x) {
  seat[x] = EMPTY;
  e = (worker[x].entered == worker[x].cursor -> 0 : worker[x].entered);
  lost_program = e;
  listen();
#ifdef FAULT_ABORT_AFTER_RETIREMENT
  retire(x);
#endif
  if
  :: lost_program != 0 && flight[lost_program % RING] == lost_program -> fail(lost_program)
  :: else
  fi;
  lost_program = 0;
#ifndef FAULT_ABORT_AFTER_RETIREMENT
  retire(x);
#endif
  settle_completed();
  if
  :: revives -> wake(WORKERS)
  :: else
  fi
}

/* Counts a dead worker's claim as done. */
inline retire(x) {
#ifndef FAULT_NO_RETIREMENT
  if
  :: worker[x].held > 0 ->
     e = worker[x].entered;
     find_program(e);
     if
     :: found -> settle_claim(x, e, worker[x].op, worker[x].held)
     :: else
     fi;
     found = false; all = false; finished = false; list = 0; op_count = 0; e = 0
  :: else
  fi;
#endif
  worker[x].op = 0
}

/* dp_help and dp_help_briefly: works in place of the last worker until program h is complete. */
inline help(h) {
  do
  :: is_complete(h) -> break
  :: else ->
     if
     :: last_published != worker[WORKERS].cursor ->
        next_program(WORKERS, last_published);
        run_program(WORKERS, e);
        finished = false;
        if
        :: leaving -> break
        :: else -> finish_with(WORKERS)
        fi
     :: else ->
        wait_until(WORKERS, is_complete(h));
        if
        :: leaving -> break
        :: else
        fi
     fi
  od;
  leaving = false;
  e = 0
}

inline board(p) {
  d_step { flight[p % RING] = p; in_flight++ }
}

inline run_sync(p) {
  do
  :: flight[p % RING] != 0 -> help(flight[p % RING]); settle_completed()
  :: else -> break
  od;
  store_seats(WORKERS - 1);
  publish(p);
  last_published = p;
  board(p);
  wake(WORKERS - 1);
  help(p);
  assert(is_whole(p));
  settle_completed();
  if
  :: in_flight > 0 && !looking -> seat_all()
  :: else
  fi
}

/* How many seats a call has: this thread works in place of the last worker while it polls for results. */
#ifdef TAKES_PART
#define seats_of_calls (WORKERS - looking)
#else
#define seats_of_calls WORKERS
#endif

inline run_async(p) {
#ifdef TAKES_PART
  if
  :: in_flight == 0 && !looking -> looking = true; notice = true
  :: else
  fi;
#endif
  store_seats(seats_of_calls);
#ifdef FAULT_WAKE_FIRST
  wake(seats_of_calls);
  publish(p);
  last_published = p;
  board(p)
#else
  publish(p);
  last_published = p;
  board(p);
  wake(seats_of_calls)
#endif
}

/* Rejects every call and stops the workers. */
inline finish() {
  v = 0;
  do
  :: v < RING ->
     if
     :: flight[v] != 0 -> fail(flight[v])
     :: else
     fi;
     v++
  :: else -> break
  od;
  v = 0;
#ifdef FAULT_STOP_LAST
  send_home();
  store_stop()
#else
  store_stop();
  send_home()
#endif
}

/* Ends the threads; still receives messages, but no deaths. Then all memory may be freed. */
inline close() {
  is_over = true;
#ifndef FAULT_RELEASED_AT_ONCE
  do
  :: atomic { message[0] -> message[0] = false }; listen()
  :: atomic { message[WORKERS - 1] -> message[WORKERS - 1] = false }; listen()
#if WORKERS == 3
  :: atomic { message[1] -> message[1] = false }; listen()
#endif
  :: threads_gone == WORKERS -> break
  od;
#endif
  released = true;
  d_step {
    do
    :: last_published > settled ->
       assert(failed[last_published]); /* its caller got an error */
       last_published--
    :: else -> break
    od
  }
}

#ifdef FAULT_REUSE_EARLY
#define has_room(p) true
#else
#define has_room(p) (flight[(p) % RING] == 0)
#endif
/* Control.release_lists: whether no worker can still look for units in program p. */
#ifdef FAULT_FREED_WITH_SLOT
#define all_left(p) true
#else
#define has_left(w, p) (seat[w] != TAKEN || worker[w].cursor >= p)
#define all_left(p) (has_left(0, p) && has_left(WORKERS - 1, p) && has_left(WORKERS / 2, p))
#endif

/* A kept program is in flight only once at a time, and its list is not freed while it may run again. */
#define may_publish(p) (has_room(p) && (!is_kept(p) || p == 1 || settled >= p - 3))

#ifdef FAULT_REST_WAKES_FIRST
#define rest_seats() wake(WORKERS); store_seats(WORKERS)
#else
#define rest_seats() seat_all()
#endif

/* The pool owner's thread, one turn of its event loop after the other. */
proctype publisher() {
  byte e, i, list, op_count, first, last, share, seen_epoch, owner, o, u, v, lost_program;
  byte next, last_published, in_flight, aborts, dismissals;
  byte flight[RING];
  bool found, all, finished, leaving, looking;
  bool in_turn;
  mtype state, before;
  do
  :: last_published < PROGRAMS && last_published + 1 != SYNC && may_publish(last_published + 1) ->
     next = last_published + 1;
     run_async(next);
     next = 0
  :: last_published < PROGRAMS && last_published + 1 == SYNC ->
     next = last_published + 1;
     run_sync(next);
     next = 0
#ifdef TAKES_PART
  :: looking ->
     if
     :: in_flight > 0 -> in_turn = true; help(settled + 1); in_turn = false
     :: else
     fi;
     settle_completed();
     if
     :: in_flight > 0
     :: true -> /* rest: a unit takes too long for a turn, or nothing is in flight */
        looking = false;
        if
        :: in_flight > 0 -> rest_seats()
        :: else
        fi;
        listen()
     fi
#endif
  :: atomic { message[0] -> message[0] = false }; listen()
  :: atomic { message[WORKERS - 1] -> message[WORKERS - 1] = false }; listen()
#if WORKERS == 3
  :: atomic { message[1] -> message[1] = false }; listen()
#endif
#if DEATHS > 0
  :: atomic { dead[0] -> dead[0] = false }; mourn(0)
  :: atomic { dead[WORKERS - 1] -> dead[WORKERS - 1] = false }; mourn(WORKERS - 1)
#if WORKERS == 3
  :: atomic { dead[1] -> dead[1] = false }; mourn(1)
#endif
#endif
#if ABORTS > 0
  :: aborts < ABORTS && in_flight > 0 ->
     if
     :: flight[0] != 0 -> fail(flight[0])
     :: flight[RING - 1] != 0 -> fail(flight[RING - 1])
     fi;
     aborts++
#endif
#if DISMISSALS > 0
  :: dismissals < DISMISSALS && in_flight == 0 -> dismiss_idle(); dismissals++
#endif
#ifdef FREES_LIST
  :: !freed && last_published == RING + 1 && all_left(1) -> freed = true
#endif
#ifdef CLOSES
  :: last_published > 0 -> break
#endif
  :: settled == PROGRAMS && in_flight == 0 -> break
  od;
  finish();
  close();
ended:
  skip
}
#ifdef LATE_STORES
proctype buffers() {
end:
  do
#ifdef FAULT_EPOCH_RELEASED
  :: atomic { late_epoch != 0 -> epoch = late_epoch; late_epoch = 0 }
#endif
#ifdef FAULT_SEATS_RELEASED
  :: atomic { late_seats != 0 -> seats = late_seats - 1; late_seats = 0 }
#endif
#ifdef FAULT_NOTICE_RELEASED
  :: atomic { late_notice -> late_notice = false; notice = false }
#endif
#ifdef FAULT_COMPLETED_RELEASED
  :: atomic { late_completed[0] != 0 -> slot[0].completed = late_completed[0]; late_completed[0] = 0 }
  :: atomic { late_completed[RING - 1] != 0 -> slot[RING - 1].completed = late_completed[RING - 1]; late_completed[RING - 1] = 0 }
#endif
#ifdef FAULT_STOP_RELEASED
  :: atomic { late_stop -> late_stop = false; stop = true }
#endif
#ifdef FAULT_PARKED_RELEASED
  :: atomic { late_parked[0] -> late_parked[0] = false; seat[0] = PARKED }
  :: atomic { late_parked[WORKERS - 1] -> late_parked[WORKERS - 1] = false; seat[WORKERS - 1] = PARKED }
#endif
  od
}
#endif

init {
  byte w;
  atomic {
    for (w : 0 .. WORKERS - 1) { run resident(w) }
    run publisher();
#ifdef LATE_STORES
    run buffers();
#endif
    w = 0
  }
}

ltl completes { <> released }
