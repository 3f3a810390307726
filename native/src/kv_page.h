/* kv_page.h: where a head's keys and values lie in a page; dp_attention in dotpool.h has the picture. */
#ifndef DP_KV_PAGE_H
#define DP_KV_PAGE_H

#include "tiles.h"

#define DP_PAGE_GROUP 16 /* positions whose keys lie side by side */

/* One head of one layer in one page. */
typedef struct dp_kv_head {
  char *at;
  dp_type type;
  uint32_t head_dim;
} dp_kv_head;

/* Elements side by side where a kernel takes one after the other: bfloat16 fills words of 32 bits. */
static inline size_t dp_kv_packed(dp_type type) { return type == DP_BF16 ? 2 : 1; }

/* Bytes of the keys, and of the values. */
static inline size_t dp_kv_half_bytes(dp_type type, uint32_t head_dim) {
  return (size_t)DP_PAGE * head_dim * dp_type_bytes(type);
}

/* Bytes from one head to the next. */
static inline size_t dp_kv_head_bytes(dp_type type, uint32_t head_dim) {
  const size_t scales = type == DP_S8 ? 2 * DP_PAGE * sizeof(float) : 0;
  return 2 * dp_kv_half_bytes(type, head_dim) + scales;
}

/* T [DP_PAGE / 16][D / P][16][P], P packed */
static inline char *dp_kv_keys(dp_kv_head head) { return head.at; }

/* T [DP_PAGE / P][D][P] */
static inline char *dp_kv_values(dp_kv_head head) { return head.at + dp_kv_half_bytes(head.type, head.head_dim); }

/* float32 [DP_PAGE], for int8 only */
static inline float *dp_kv_key_scales(dp_kv_head head) {
  return (float *)(head.at + 2 * dp_kv_half_bytes(head.type, head.head_dim));
}

/* float32 [DP_PAGE], for int8 only */
static inline float *dp_kv_value_scales(dp_kv_head head) { return dp_kv_key_scales(head) + DP_PAGE; }

/* Index of the first element of the key at a position of the page. */
static inline size_t dp_kv_key_index(dp_kv_head head, uint32_t position) {
  const size_t group = position / DP_PAGE_GROUP, in_group = position % DP_PAGE_GROUP;
  return group * head.head_dim * DP_PAGE_GROUP + in_group * dp_kv_packed(head.type);
}

/* Index of the first element of the value at a position of the page. */
static inline size_t dp_kv_value_index(dp_kv_head head, uint32_t position) {
  const size_t P = dp_kv_packed(head.type);
  return position / P * P * head.head_dim + position % P;
}

#endif
