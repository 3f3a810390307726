/* tests.h: the groups of tests; each runs with the ISA last chosen by dp_select_isa. */
#ifndef DP_TESTS_H
#define DP_TESTS_H

void test_abi(void);
void test_map_file(void);
void test_load_row(void);
void test_quantize_row(void);
void test_outliers(void);
void test_gemv(void);
void test_gemm(void);
void test_stream(void);
void test_epilogue(void);
void test_pack(void);
void test_quantize_pack(void);
void test_int4(void);
void test_search(void);
void test_gate(void);
void test_float_dot(void);
void test_attention(void);
void test_rooflines(void);
void test_ops(void);
void test_region(void);
void test_region_threads(void);
void test_embed(void);
void test_norm(void);
void test_dense(void);
void test_sample(void);

/* One random case of each kind of op, compared with its oracle. */
void linear_op_case(void);
void packing_case(void);
void attend_case(void);
void embed_case(void);
void norm_case(void);
void dense_case(void);
void sample_case(void);

#endif
