/* test_quantize_pack.c: float weights to int8 tiles and their scales; finds a NaN or an infinity. */
#include <math.h>
#include <string.h>

#include "../src/kernel_table.h"
#include "oracle.h"
#include "tester.h"
#include "tests.h"

enum { CASES = 300 };

static void test_case(uint32_t channels, uint32_t k, dp_type type) {
  const size_t size = type == DP_BF16 ? 2 : 4, count = (size_t)channels * k;
  block values = make_input(count * sizeof(float), 64);
  block w = make_input(count * size, size), q = make_input(count, 64);
  block tiles = make_output(dp_block_bytes(k), 0), expected = make_input(tiles.bytes, 64);
  block col_sum = make_output(DP_NR * sizeof(int32_t), 0), sums = make_input(col_sum.bytes, 64);
  block scale = make_output(DP_NR * sizeof(float), 0);
  float scales[DP_NR] = {0};
  for (uint32_t c = 0; c < channels; c++) random_floats((float *)values.at + (size_t)c * k, k);
  if (one_in(6)) spoil(values.at, count);
  for (size_t i = 0; i < count; i++) oracle_store(w.at, type, i, ((float *)values.at)[i]);

  int bad = -1;
  for (uint32_t c = 0; c < channels; c++) {
    const size_t first = (size_t)c * k;
    scales[c] = oracle_quantize_channel(w.at, type, first, k, (int8_t *)q.at + first);
    if (isnan(scales[c]) && bad < 0) bad = (int)c;
  }
  const int got = dp_active_kernels()->quantize_pack_block(w.at, type, channels, k, tiles.at, col_sum.at, scale.at);
  check(got == bad, "quantize_pack type %d of %u x %u: channel %d is faulty, not %d", type, channels, k, got, bad);
  if (bad < 0) {
    oracle_pack(q.at, channels, k, expected.at, sums.at);
    check(memcmp(scale.at, scales, sizeof scales) == 0, "quantize_pack type %d of %u x %u: scales differ", type,
          channels, k);
    check(memcmp(tiles.at, expected.at, tiles.bytes) == 0, "quantize_pack type %d of %u x %u: tiles differ", type,
          channels, k);
    check(memcmp(col_sum.at, sums.at, sums.bytes) == 0, "quantize_pack type %d of %u x %u: colSum differs", type,
          channels, k);
  }
  check(edges_hold(&tiles) && edges_hold(&col_sum) && edges_hold(&scale),
        "quantize_pack type %d of %u x %u wrote past its end", type, channels, k);
  free_block(&values), free_block(&w), free_block(&q), free_block(&tiles), free_block(&expected);
  free_block(&col_sum), free_block(&sums), free_block(&scale);
}

void test_quantize_pack(void) {
  for (int i = 0; i < CASES; i++) {
    const dp_type type = one_in(2) ? DP_F32 : DP_BF16;
    test_case(random_between(1, DP_NR), random_between(1, one_in(4) ? 300 : 40), type);
  }
  report("quantize_pack %s", dp_isa());
}
