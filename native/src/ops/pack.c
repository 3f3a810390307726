/* pack.c: weights into tiles. */
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
