/* units.h: ops, cut into units that any worker can run in any order. */
#ifndef DP_OPS_H
#define DP_OPS_H

#include "../include/dotpool.h"
#include "kernel_table.h"

/* How an op is shared out. A unit is `span` pieces; pieces are numbered 0 .. pieces - 1. */
typedef struct dp_plan {
  uint32_t units; /* at most DP_MAX_UNITS */
  uint32_t span;
  uint32_t grain;  /* units that belong together: claims keep them so while many are left */
  uint32_t least;  /* units below which a claim costs more than it evens out */
  uint32_t cap;    /* most units of a claim, so that no claim takes long */
  uint32_t macs;   /* int8 multiply-adds that a unit takes as long as */
  uint32_t pinned; /* 1: units are not taken over by other workers */
} dp_plan;

/* A range of units is two 16-bit numbers. */
#define DP_MAX_UNITS 65535u

dp_plan dp_plan_op(const dp_op *op, const dp_kernels *kernels, uint32_t threads);

/* Where an op runs. */
typedef struct dp_place {
  const dp_op *op;
  const dp_kernels *kernels;
  uint32_t epoch, stage; /* ops of one program that run together are of one stage */
  uint32_t span, threads;
  dp_worker *worker;
  _Atomic uint32_t *fault;
} dp_place;

/* Bytes of scratch memory that every worker needs. */
uint64_t dp_scratch_bytes(const dp_kernels *kernels);

/* Runs units [first, last). Returns the bytes of packed weights that were read. */
uint64_t dp_run_units(const dp_place *place, uint32_t first, uint32_t last);

#endif
