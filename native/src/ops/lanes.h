/* lanes.h: sixteen float32 side by side; the compiler cuts them into the registers that the ISA has. */
#ifndef DP_LANES_H
#define DP_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DP_LANES 16

typedef float dp_lanes __attribute__((vector_size(64)));

static inline dp_lanes dp_load_lanes(const float *values) {
  dp_lanes lanes;
  memcpy(&lanes, values, sizeof lanes);
  return lanes;
}

/* Lanes l and l + 8 first, then l and l + 4, l and l + 2, 0 and 1. */
static inline float dp_add_up_lanes(dp_lanes lanes) {
  float sum[DP_LANES];
  memcpy(sum, &lanes, sizeof lanes);
  for (int l = 0; l < 8; l++) sum[l] += sum[l + 8];
  for (int l = 0; l < 4; l++) sum[l] += sum[l + 4];
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

#endif
