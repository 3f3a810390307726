/* pack.c: weights into tiles, and into four bits. */
#include <string.h>

#include "op.h"

/* ---- packing: w[N, K] -> tiles, col_sum (, scale); pieces are blocks -------------------------- */

static uint64_t run_pack(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_op_kind kind = (dp_op_kind)place->op->kind;
  const dp_pack_params *p = &place->op->pack;
  const dp_kernels *kernels = place->kernels;
  for (uint64_t block = first; block < last; block++) {
    const size_t n = block * DP_NR;
    const uint32_t channels = p->n - n < DP_NR ? (uint32_t)(p->n - n) : DP_NR;
    int32_t *col_sum = POINTER(int32_t, p->col_sum) + n;
    const char *w = POINTER(const char, p->w);
    if (kind == DP_OP_PACK_S4) {
      const size_t groups = dp_s4_groups(p->k);
      kernels->pack_block_s4((const uint8_t *)w + n * ((p->k + 1) / 2),
                             POINTER(const int8_t, p->multipliers) + n * groups, channels, p->k,
                             POINTER(uint8_t, p->tiles) + block * dp_s4_block_bytes(p->k), col_sum);
      continue;
    }
    int8_t *tiles = POINTER(int8_t, p->tiles) + block * dp_block_bytes(p->k);
    if (kind == DP_OP_PACK) {
      kernels->pack_block_s8((const int8_t *)w + n * p->k, p->k, channels, p->k, tiles, col_sum);
    } else if (kind == DP_OP_PACK_TRANSPOSED) {
      kernels->pack_block_transposed_s8((const int8_t *)w + n, p->n, channels, p->k, tiles, col_sum);
    } else {
      w += n * p->k * dp_type_bytes(p->w_type);
      int bad = kernels->quantize_pack_block(w, (dp_type)p->w_type, channels, p->k, tiles, col_sum,
                                             POINTER(float, p->scale) + n);
      if (bad >= 0) dp_note_fault(place, (uint32_t)(n + (size_t)bad + 1));
    }
  }
  return 0;
}

static uint64_t pack_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return dp_blocks(op->pack.n);
}

static uint64_t pack_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->pack.k * DP_NR * 16;
}

const dp_op_type dp_op_pack = {.pieces = pack_pieces, .cost = pack_cost, .run = run_pack, .grain = 1};

/* ---- SEARCH_S4: w[N, K], importance[K] -> nibbles, multipliers, scale; pieces are channels ------ */

static uint64_t run_search(const dp_place *place, uint64_t first, uint64_t last) {
  const dp_search_params *p = &place->op->search;
  const size_t groups = dp_s4_groups(p->k), bytes = p->stride * dp_type_bytes(p->w_type);
  float *x = dp_scratch_floats(place), *scale = POINTER(float, p->scale);
  dp_s4_steps *steps = (void *)dp_scratch_halves(place);
  for (uint64_t n = first; n < last; n++) {
    place->kernels->embed(POINTER(const char, p->w) + n * bytes, (dp_type)p->w_type, p->k, x);
    memset(x + p->k, 0, (groups * DP_S4_GROUP - p->k) * sizeof *x);
    scale[n] = place->kernels->search_s4(x, POINTER(const float, p->importance), p->k, steps,
                                         POINTER(int8_t, p->multipliers) + n * groups,
                                         POINTER(uint8_t, p->nibbles) + n * ((p->k + 1) / 2));
    if (scale[n] != scale[n]) dp_note_fault(place, (uint32_t)n + 1);
  }
  return 0;
}

static uint64_t search_pieces(const dp_op *op, const dp_kernels *kernels, uint32_t threads) { return op->search.n; }

/* A weight is rounded some seventy times. */
static uint64_t search_cost(const dp_op *op, const dp_kernels *kernels, uint32_t threads) {
  return (uint64_t)op->search.k * 2048;
}

const dp_op_type dp_op_search_s4 = {.pieces = search_pieces, .cost = search_cost, .run = run_search, .grain = 1};

_Static_assert(DP_MAX_K % DP_S4_GROUP == 0 && sizeof(dp_s4_steps) <= DP_S4_GROUP * sizeof(uint16_t),
               "the scratch of floats and of halves holds a padded row and the steps of its groups");
