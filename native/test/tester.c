#include "tester.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/rounding.h"
#include "pages.h"

/* ---- checks ----------------------------------------------------------------------------------- */

enum { FAILURES_SHOWN = 20 };

static unsigned passed, failed, reported;

bool check(bool ok, const char *format, ...) {
  if (ok) {
    passed++;
    return true;
  }
  if (failed++ < FAILURES_SHOWN) {
    va_list arguments;
    va_start(arguments, format);
    fputs("FAILED: ", stdout);
    vprintf(format, arguments);
    fputc('\n', stdout);
    va_end(arguments);
  }
  return false;
}

void report(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf(": %u checks\n", passed + failed - reported);
  fflush(stdout);
  reported = passed + failed;
}

bool all_passed(void) { return failed == 0; }

int conclude(void) {
  printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- random numbers --------------------------------------------------------------------------- */

static uint64_t state;
static const uint8_t *script;
static size_t script_bytes;
static bool is_scripted;

void seed_random(uint64_t seed) { state = seed; }

void script_random(const uint8_t *bytes, size_t count) {
  state = 0;
  script = bytes;
  script_bytes = count;
  is_scripted = true;
  state = random_bits() & 0xff;
  state = state << 8 | (random_bits() & 0xff);
}

/* splitmix64: for values, which would use up a script quickly, and for the rest of the script's decisions */
static uint64_t next_bits(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

uint64_t random_bits(void) {
  uint64_t bits = next_bits();
  if (script_bytes == 0) return bits;
  script_bytes--;
  return (bits & ~(uint64_t)0xff) | *script++;
}

uint32_t random_between(uint32_t least, uint32_t most) {
  return least + (uint32_t)(random_bits() % ((uint64_t)most - least + 1));
}

bool one_in(uint32_t n) { return random_bits() % n == 0; }

uint32_t random_extent(uint32_t most) {
  static const uint32_t scripted[] = {4, 4, 4, 4, 17, 17, 17, 80};
  const uint32_t limit = is_scripted ? scripted[random_between(0, 7)] : most;
  return random_between(1, limit < most ? limit : most);
}

uint32_t random_past(uint32_t bound) {
  switch (random_between(0, 3)) {
    case 0: return bound;
    case 1: return UINT32_MAX - random_between(0, 2);
    case 2: return bound + random_between(0, 9);
    default: return random_between(bound, UINT32_MAX);
  }
}

void random_bytes(int8_t *values, size_t count) {
  const uint32_t distribution = random_between(0, 5);
  const int8_t same = (int8_t)random_bits();
  for (size_t i = 0; i < count; i++) {
    switch (distribution) {
      case 0: values[i] = next_bits() % 2 == 0 ? -128 : 127; break;
      case 1: values[i] = -128; break;
      case 2: values[i] = same; break;
      default: values[i] = (int8_t)next_bits(); break;
    }
  }
}

/* A nibble u that keeps (u - 8) * m within int8; an extreme one, or any. */
static uint8_t random_nibble(int m, bool extreme) {
  uint8_t fitting[16];
  uint32_t count = 0;
  for (int u = 0; u < 16; u++) {
    if ((u - 8) * m >= -128 && (u - 8) * m <= 127) fitting[count++] = (uint8_t)u;
  }
  return fitting[extreme ? (m > 0 ? 0 : count - 1) : random_between(0, count - 1)];
}

void random_int4(uint8_t *nibbles, int8_t *multipliers, size_t channels, size_t k) {
  const size_t groups = (k + 31) / 32, stride = (k + 1) / 2;
  const bool extreme = one_in(8), wide = one_in(3);
  for (size_t c = 0; c < channels; c++) {
    for (size_t g = 0; g < groups; g++) {
      int m = wide ? (int)random_between(1, 255) - 128 : (int)random_between(1, 16);
      if (m == 0) m = 18;
      if (extreme) m = 16;
      multipliers[c * groups + g] = (int8_t)m;
      for (size_t i = g * 32; i < (g + 1) * 32 && i < 2 * stride; i++) {
        const uint8_t u = random_nibble(m, extreme), before = i % 2 == 0 ? 0 : nibbles[c * stride + i / 2];
        nibbles[c * stride + i / 2] = before | u << i % 2 * 4;
      }
    }
  }
}

void make_symmetric(int8_t *values, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = values[i] < -127 ? -127 : values[i];
}

/* In [-1, 1]. */
static float random_unit(void) { return (float)((double)next_bits() / (double)UINT64_MAX * 2 - 1); }

static float random_finite(void) {
  float value;
  do {
    value = dp_float_from_bits((uint32_t)next_bits());
  } while (dp_magnitude(value) >= DP_INFINITY_BITS);
  return value;
}

void random_floats(float *values, size_t count) {
  const uint32_t distribution = random_between(0, 11);
  const float same = random_finite();
  for (size_t i = 0; i < count; i++) {
    switch (distribution) {
      case 0: values[i] = 0; break;
      case 1: values[i] = next_bits() % 2 == 0 ? same : -same; break;
      /* with 127 among them the scale is 1, and these lie half-way between two integers */
      case 2: values[i] = i == 0 ? 127 : (float)(next_bits() % 253) / 2 - 63; break;
      case 3: values[i] = dp_float_from_bits((uint32_t)next_bits() & 0x807fffff); break;
      case 4: values[i] = random_unit() * 3.4028235e38f; break;
      case 5: values[i] = random_finite(); break;
      case 6: values[i] = random_unit() * 2e-8f; break;
      case 7: values[i] = next_bits() % 2 == 0 ? 0.0f : -0.0f; break;
      default: values[i] = random_unit() * 4; break;
    }
  }
}

void random_moderate_floats(float *values, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = random_unit() * 2;
}

void spoil(float *values, size_t count) {
  const uint32_t with[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001};
  const size_t i = random_between(0, (uint32_t)count - 1);
  values[i] = dp_float_from_bits(with[random_between(0, 4)]);
}

/* ---- memory ----------------------------------------------------------------------------------- */

enum { EDGE = 64, EDGE_BYTE = 0xa5 };

/* Whole pages for `bytes`, and a forbidden one after them. */
static block allocate(size_t bytes) {
  const size_t page = page_bytes(), usable = (bytes + page - 1) / page * page;
  block block = {.bytes = bytes, .page_bytes = usable + page};
  block.pages = map_pages(usable, page);
  if (block.pages == NULL) {
    fputs("out of memory\n", stderr);
    exit(EXIT_FAILURE);
  }
  block.at = block.pages + usable;
  return block;
}

block make_input(size_t bytes, size_t alignment) {
  block block = allocate(bytes);
  block.at = (char *)block.at - (bytes + alignment - 1) / alignment * alignment;
  return block;
}

block make_output(size_t bytes, size_t offset) {
  block block = allocate(bytes + offset + 2 * EDGE);
  block.bytes = bytes;
  block.at = block.pages + EDGE + offset;
  memset((char *)block.at - EDGE, EDGE_BYTE, EDGE);
  memset(block.at, 0x5b, bytes);
  memset((char *)block.at + bytes, EDGE_BYTE, EDGE);
  return block;
}

bool edges_hold(const block *output) {
  const unsigned char *at = output->at;
  for (size_t i = 0; i < EDGE; i++) {
    if (at[i + output->bytes] != EDGE_BYTE || *(at - 1 - i) != EDGE_BYTE) return false;
  }
  return true;
}

void free_block(block *block) {
  if (block->pages != NULL) unmap_pages(block->pages, block->page_bytes);
  *block = (struct block){0};
}

size_t random_offset(size_t size) { return size * random_between(0, (uint32_t)(64 / size) - 1); }
