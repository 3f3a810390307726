/*
 * tester.h: counted checks, repeatable random numbers, and memory with guarded edges. Random numbers and checks belong
 * to the main thread.
 */
#ifndef DP_TESTER_H
#define DP_TESTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- checks ----------------------------------------------------------------------------------- */

/* Counts a check; prints a failed one with printf's arguments. Returns `ok`. */
bool check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints one line: what was tested since the last call, and by how many checks. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether no check has failed. */
bool all_passed(void);

/* Prints the closing line and returns the exit status. */
int conclude(void);

/* ---- random numbers --------------------------------------------------------------------------- */

void seed_random(uint64_t seed);
/*
 * Takes the low byte of each decision from `bytes` until they are used up. All other random values follow from the
 * first two bytes.
 */
void script_random(const uint8_t *bytes, size_t count);
uint64_t random_bits(void);
uint32_t random_between(uint32_t least, uint32_t most); /* both included */
bool one_in(uint32_t n);

/* A length in [1, most]; mostly a short one where a script decides, so that a fuzzer runs many cases. */
uint32_t random_extent(uint32_t most);

/* A number that is not below `bound`, which is at least 1: just past it, huge, or any. */
uint32_t random_past(uint32_t bound);

/* Int8 values: any of them, only the extremes, or all the same. */
void random_bytes(int8_t *values, size_t count);

/*
 * Weights of four bits, nibbles and their multipliers as dp_pack_s4_fn has them, that stand for int8 ones: multipliers of
 * any size with what nibbles fit, or only extremes.
 */
void random_int4(uint8_t *nibbles, int8_t *multipliers, size_t channels, size_t k);

/* Replaces -128 by -127. */
void make_symmetric(int8_t *values, size_t count);

/*
 * Float values of one of many distributions: ordinary, ties of rounding, zeros, all equal, denormal, huge, of any
 * exponent, around the absmax floor; all finite.
 */
void random_floats(float *values, size_t count);

/* In [-2, 2], so that sums of a few thousand products stay finite. */
void random_moderate_floats(float *values, size_t count);

/* Writes a NaN or an infinity somewhere. */
void spoil(float *values, size_t count);

/* ---- memory ----------------------------------------------------------------------------------- */

typedef struct block {
  void *at;
  size_t bytes;
  char *pages; /* from the system */
  size_t page_bytes;
} block;

/*
 * Memory for reading. Ends as near to a forbidden page as the alignment allows, so that a read past the end is found
 * even in masked vector loads, which sanitizers do not see.
 */
block make_input(size_t bytes, size_t alignment);

/*
 * Memory for writing: filled with junk, between bytes that must stay as they are. Starts `offset` bytes past a 64-byte
 * boundary.
 */
block make_output(size_t bytes, size_t offset);

/* Whether nothing was written beside an output. */
bool edges_hold(const block *output);

void free_block(block *block);

/* A random offset that aligns elements of `size` bytes only. */
size_t random_offset(size_t size);

#endif
