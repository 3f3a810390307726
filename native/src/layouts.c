/* layouts.c: that this compiler lays structs out as src/native/layout.ts has them. Written by npm run layouts. */
#include "../include/dotpool.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == bytes, "the size of " #type)
#define OFFSET(type, field, at) _Static_assert(offsetof(type, field) == at, "where " #type " has " #field)

SIZE(dp_row, 16);
OFFSET(dp_row, id, 0);
OFFSET(dp_row, position, 4);
OFFSET(dp_row, pages, 8);

SIZE(dp_pages, 8);
OFFSET(dp_pages, count, 0);

SIZE(dp_attention, 112);
OFFSET(dp_attention, query_heads, 0);
OFFSET(dp_attention, kv_heads, 4);
OFFSET(dp_attention, head_dim, 8);
OFFSET(dp_attention, window, 12);
OFFSET(dp_attention, cache_type, 16);
OFFSET(dp_attention, eps, 20);
OFFSET(dp_attention, scale, 24);
OFFSET(dp_attention, split, 28);
OFFSET(dp_attention, q, 32);
OFFSET(dp_attention, k, 40);
OFFSET(dp_attention, v, 48);
OFFSET(dp_attention, q_norm, 56);
OFFSET(dp_attention, k_norm, 64);
OFFSET(dp_attention, rotation, 72);
OFFSET(dp_attention, page_offset, 80);
OFFSET(dp_attention, out, 88);
OFFSET(dp_attention, parts, 96);
OFFSET(dp_attention, part_pages, 104);
OFFSET(dp_attention, positions, 108);

SIZE(dp_sample, 96);
OFFSET(dp_sample, action, 0);
OFFSET(dp_sample, id, 4);
OFFSET(dp_sample, logit, 8);
OFFSET(dp_sample, maximum, 12);
OFFSET(dp_sample, sum, 16);
OFFSET(dp_sample, temperature, 20);
OFFSET(dp_sample, top_p, 24);
OFFSET(dp_sample, min_p, 28);
OFFSET(dp_sample, penalty, 32);
OFFSET(dp_sample, top_k, 36);
OFFSET(dp_sample, random, 40);
OFFSET(dp_sample, adjustment_count, 44);
OFFSET(dp_sample, adjustments, 48);
OFFSET(dp_sample, outcome, 56);
OFFSET(dp_sample, candidate_count, 60);
OFFSET(dp_sample, candidates, 64);
OFFSET(dp_sample, copy, 72);
OFFSET(dp_sample, mask, 80);
OFFSET(dp_sample, mask_tag, 88);

SIZE(dp_adjustment, 8);
OFFSET(dp_adjustment, id, 0);
OFFSET(dp_adjustment, addend, 4);

SIZE(dp_candidate, 8);
OFFSET(dp_candidate, id, 0);
OFFSET(dp_candidate, logit, 4);

SIZE(dp_quantize_params, 48);
OFFSET(dp_quantize_params, x, 0);
OFFSET(dp_quantize_params, u, 8);
OFFSET(dp_quantize_params, xq, 16);
OFFSET(dp_quantize_params, x_scale, 24);
OFFSET(dp_quantize_params, k, 32);
OFFSET(dp_quantize_params, x_type, 36);
OFFSET(dp_quantize_params, activation, 40);
OFFSET(dp_quantize_params, outliers, 44);

SIZE(dp_linear_params, 104);
OFFSET(dp_linear_params, input, 0);
OFFSET(dp_linear_params, y, 48);
OFFSET(dp_linear_params, tiles, 56);
OFFSET(dp_linear_params, col_sum, 64);
OFFSET(dp_linear_params, scale, 72);
OFFSET(dp_linear_params, bias, 80);
OFFSET(dp_linear_params, n, 88);
OFFSET(dp_linear_params, y_type, 92);
OFFSET(dp_linear_params, w_type, 96);

SIZE(dp_pack_params, 56);
OFFSET(dp_pack_params, w, 0);
OFFSET(dp_pack_params, multipliers, 8);
OFFSET(dp_pack_params, tiles, 16);
OFFSET(dp_pack_params, col_sum, 24);
OFFSET(dp_pack_params, scale, 32);
OFFSET(dp_pack_params, n, 40);
OFFSET(dp_pack_params, k, 44);
OFFSET(dp_pack_params, w_type, 48);

SIZE(dp_search_params, 56);
OFFSET(dp_search_params, w, 0);
OFFSET(dp_search_params, importance, 8);
OFFSET(dp_search_params, nibbles, 16);
OFFSET(dp_search_params, multipliers, 24);
OFFSET(dp_search_params, scale, 32);
OFFSET(dp_search_params, n, 40);
OFFSET(dp_search_params, k, 44);
OFFSET(dp_search_params, stride, 48);
OFFSET(dp_search_params, w_type, 52);

SIZE(dp_dense_params, 48);
OFFSET(dp_dense_params, x, 0);
OFFSET(dp_dense_params, w, 8);
OFFSET(dp_dense_params, bias, 16);
OFFSET(dp_dense_params, y, 24);
OFFSET(dp_dense_params, n, 32);
OFFSET(dp_dense_params, k, 36);
OFFSET(dp_dense_params, w_type, 40);

SIZE(dp_embed_params, 48);
OFFSET(dp_embed_params, rows, 0);
OFFSET(dp_embed_params, samples, 8);
OFFSET(dp_embed_params, w, 16);
OFFSET(dp_embed_params, y, 24);
OFFSET(dp_embed_params, sample_count, 32);
OFFSET(dp_embed_params, n, 36);
OFFSET(dp_embed_params, k, 40);
OFFSET(dp_embed_params, w_type, 44);

SIZE(dp_norm_params, 72);
OFFSET(dp_norm_params, x, 0);
OFFSET(dp_norm_params, u, 8);
OFFSET(dp_norm_params, rows, 16);
OFFSET(dp_norm_params, scale, 24);
OFFSET(dp_norm_params, y, 32);
OFFSET(dp_norm_params, xq, 40);
OFFSET(dp_norm_params, x_scale, 48);
OFFSET(dp_norm_params, n, 56);
OFFSET(dp_norm_params, k, 60);
OFFSET(dp_norm_params, outliers, 64);
OFFSET(dp_norm_params, eps, 68);

SIZE(dp_attention_params, 16);
OFFSET(dp_attention_params, rows, 0);
OFFSET(dp_attention_params, layer, 8);

SIZE(dp_gate_params, 40);
OFFSET(dp_gate_params, x, 0);
OFFSET(dp_gate_params, u, 8);
OFFSET(dp_gate_params, y, 16);
OFFSET(dp_gate_params, k, 24);
OFFSET(dp_gate_params, type, 28);
OFFSET(dp_gate_params, activation, 32);

SIZE(dp_sample_params, 24);
OFFSET(dp_sample_params, logits, 0);
OFFSET(dp_sample_params, samples, 8);
OFFSET(dp_sample_params, n, 16);

SIZE(dp_roofline_params, 32);
OFFSET(dp_roofline_params, x, 0);
OFFSET(dp_roofline_params, count, 8);
OFFSET(dp_roofline_params, pieces, 16);
OFFSET(dp_roofline_params, streams, 20);
OFFSET(dp_roofline_params, ahead, 24);

SIZE(dp_op, 128);
OFFSET(dp_op, kind, 0);
OFFSET(dp_op, flags, 4);
OFFSET(dp_op, m, 8);
OFFSET(dp_op, quantize, 16);
OFFSET(dp_op, linear, 16);
OFFSET(dp_op, pack, 16);
OFFSET(dp_op, search, 16);
OFFSET(dp_op, dense, 16);
OFFSET(dp_op, embed, 16);
OFFSET(dp_op, norm, 16);
OFFSET(dp_op, attention, 16);
OFFSET(dp_op, gate, 16);
OFFSET(dp_op, sample, 16);
OFFSET(dp_op, roofline, 16);

SIZE(dp_progress, 2176);
OFFSET(dp_progress, done, 0);
OFFSET(dp_progress, units, 64);
OFFSET(dp_progress, span, 68);
OFFSET(dp_progress, grain, 72);
OFFSET(dp_progress, least, 76);
OFFSET(dp_progress, cap, 80);
OFFSET(dp_progress, macs, 84);
OFFSET(dp_progress, together, 88);
OFFSET(dp_progress, after, 92);
OFFSET(dp_progress, pinned, 96);
OFFSET(dp_progress, range, 104);

SIZE(dp_slot, 36928);
OFFSET(dp_slot, epoch, 0);
OFFSET(dp_slot, op_count, 4);
OFFSET(dp_slot, silent, 8);
OFFSET(dp_slot, ops_done, 12);
OFFSET(dp_slot, completed, 16);
OFFSET(dp_slot, aborted, 20);
OFFSET(dp_slot, fault, 24);
OFFSET(dp_slot, ops, 32);
OFFSET(dp_slot, progress, 40);
OFFSET(dp_slot, own_ops, 64);
OFFSET(dp_slot, own_progress, 2112);

SIZE(dp_stats, 40);
OFFSET(dp_stats, regions, 0);
OFFSET(dp_stats, busy_ns, 8);
OFFSET(dp_stats, wait_ns, 16);
OFFSET(dp_stats, units, 24);
OFFSET(dp_stats, weight_bytes, 32);

SIZE(dp_worker, 192);
OFFSET(dp_worker, seat, 0);
OFFSET(dp_worker, cursor, 64);
OFFSET(dp_worker, op, 68);
OFFSET(dp_worker, entered, 72);
OFFSET(dp_worker, row_epoch, 76);
OFFSET(dp_worker, row_stage, 80);
OFFSET(dp_worker, row_address, 88);
OFFSET(dp_worker, row_outliers, 96);
OFFSET(dp_worker, row_scale, 100);
OFFSET(dp_worker, idle_since, 104);
OFFSET(dp_worker, index, 112);
OFFSET(dp_worker, held, 116);
OFFSET(dp_worker, scratch, 120);
OFFSET(dp_worker, stats, 128);

SIZE(dp_region, 1231488);
OFFSET(dp_region, epoch, 0);
OFFSET(dp_region, stop, 64);
OFFSET(dp_region, seats, 68);
OFFSET(dp_region, notice, 128);
OFFSET(dp_region, threads, 192);
OFFSET(dp_region, kernels, 200);
OFFSET(dp_region, pace, 256);
OFFSET(dp_region, workers, 448);
OFFSET(dp_region, ring, 49792);

SIZE(dp_mapping, 24);
OFFSET(dp_mapping, address, 0);
OFFSET(dp_mapping, bytes, 8);
OFFSET(dp_mapping, file, 16);
