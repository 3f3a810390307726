/* roofline.c: what bounds all other ops, and ops that do nothing. */
#include "../registers.h"
#include "op.h"

enum {
  READ_BYTES = 1 << 20,   /* a piece of DP_OP_READ */
  PEAK_ROUNDS = 1 << 13,  /* a piece of DP_OP_PEAK */
  CLOCK_ROUNDS = 1 << 13, /* a piece of DP_OP_CLOCK */
  CHAIN = 16,             /* additions of a round */
};

/* ---- rooflines: `count` counts bytes, multiply-adds or cycles -------------- */

static uint64_t run_read(const dp_place *place, uint64_t first, uint64_t last) {
  static _Atomic uint64_t sink;
  const dp_roofline_params *p = &place->op->roofline;
  const dp_read_order order = {.streams = p->streams, .ahead = p->ahead};
  uint64_t sum = 0;
  for (uint64_t i = first; i < last; i++) {
    sum += place->kernels->read(POINTER(const char, p->x) + i * READ_BYTES, READ_BYTES, order);
  }
  const uint64_t bytes = (last - first) * READ_BYTES;
  atomic_fetch_xor_explicit(&sink, sum, memory_order_relaxed);
  atomic_fetch_add_explicit(POINTER(_Atomic uint64_t, p->count), bytes, memory_order_relaxed);
  return 0;
}

static uint64_t run_peak(const dp_place *place, uint64_t first, uint64_t last) {
  static _Atomic int32_t sink;
  int32_t result = 0;
  uint64_t macs = place->kernels->peak((last - first) * PEAK_ROUNDS, &result);
  atomic_fetch_xor_explicit(&sink, result, memory_order_relaxed);
  atomic_fetch_add_explicit(POINTER(_Atomic uint64_t, place->op->roofline.count), macs, memory_order_relaxed);
  return 0;
}

/*
 * Every core adds two registers in one cycle. The empty assembly says that it changes the sum, so that no
 * compiler adds up in another way; the addend is unknown, for cores add constants without taking time.
 */
static uint64_t run_clock(const dp_place *place, uint64_t first, uint64_t last) {
  const uint64_t rounds = (last - first) * CLOCK_ROUNDS;
  size_t sum = first, addend = last; /* a register each */
  __asm__ volatile("" : "+r"(addend));
  for (uint64_t r = 0; r < rounds; r++) {
    DP_UNROLL for (int i = 0; i < CHAIN; i++) {
      sum += addend;
      __asm__ volatile("" : "+r"(sum));
    }
  }
  atomic_fetch_add_explicit(POINTER(_Atomic uint64_t, place->op->roofline.count), rounds * CHAIN, memory_order_relaxed);
  return 0;
}

static uint64_t run_nothing(const dp_place *place, uint64_t first, uint64_t last) { return 0; }

static uint64_t given_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return op->roofline.pieces;
}

static uint64_t one_piece(const dp_op *op, const dp_kernels *kernels, uint32_t threads) { return 1; }

static uint64_t one_each(const dp_op *op, const dp_kernels *kernels, uint32_t threads) { return threads; }

static uint64_t read_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) { return READ_BYTES; }

static uint64_t whole_claim(const dp_op *op, const dp_kernels *kernels, uint32_t threads) { return DP_CLAIM_MACS; }

const dp_op_type dp_op_read = {.pieces = given_pieces, .cost = read_cost, .run = run_read, .grain = 1};
const dp_op_type dp_op_peak = {.pieces = given_pieces, .cost = whole_claim, .run = run_peak, .grain = 1};
const dp_op_type dp_op_clock = {.pieces = given_pieces, .cost = whole_claim, .run = run_clock, .grain = 1};
const dp_op_type dp_op_empty = {.pieces = one_piece, .cost = whole_claim, .run = run_nothing, .grain = 1};
const dp_op_type dp_op_meet = {.pieces = one_each, .cost = whole_claim, .run = run_nothing, .grain = 1, .pinned = 1};
