/* attention_oracle.h: attention by its definition, one float32 operation after the other. */
#ifndef DP_ATTENTION_ORACLE_H
#define DP_ATTENTION_ORACLE_H

#include "../include/dotpool.h"

/* x = rope(norm(x)) * scale; norm may be NULL. rotation: [2][D / 2]. */
void oracle_rotate(float *x, uint32_t head_dim, const float *norm, float eps, const float *rotation, float scale);

/* Bytes of the heads of one layer in a page. */
size_t oracle_page_bytes(const dp_attention *a);

/* Stores a key and a value at their place in a page. */
void oracle_store_kv(const dp_attention *a, char *page, uint32_t kv_head, uint32_t position, const float *k,
                     const float *v);

/* One query head of one row. */
void oracle_attend(const dp_attention *a, const dp_row *row, uint32_t head, const float *q, float *out);

#endif
