/*
 * dotpool.h: the C ABI of the native library. Everything JavaScript calls or shares is here.
 *
 * Words used throughout: K in features, N out features, M rows of activations; a block is 64 output
 * channels of packed weights; a unit is the smallest piece of an op that a worker can claim.
 */
#ifndef DOTPOOL_H
#define DOTPOOL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#error "dotpool.h uses C11 atomics; include it from C"
#endif

#ifdef _WIN32
#define DP_EXPORT __declspec(dllexport)
#else
#define DP_EXPORT __attribute__((visibility("default")))
#endif

/* ---- the region's shared memory -------------------------------------------------------------- */

#define DP_CACHE_LINE 64
#define DP_MAX_WORKERS 256
#define DP_RING 32      /* programs that can be in flight */
#define DP_SLOT_OPS 16  /* ops of a program that lies in its slot; a kept one may have any number */
#define DP_MAX_K 131072 /* 131072 * 127 * 128 < 2^31: int32 sums cannot overflow */

/*
 * Most outliers of a row. Where an op asks for c of them, a row's step is a / 127, a the (c + 1)-th largest |x|, but at
 * least 1/128 of the largest and 1e-8. Elements above a are outliers and keep their integers whole:
 * |rne(x * (127 / a))| <= 127 * 128. Sums stay exact where K + 127 * c <= 132104.
 */
#define DP_MAX_OUTLIERS 15

#define DP_PAGE 64 /* positions of one page of keys and values */

/* int4: nibbles with a multiplier for each channel and 32 k, only of weights; see src/tiles.h */
typedef enum dp_type { DP_F32 = 0, DP_BF16 = 1, DP_S8 = 2, DP_S32 = 3, DP_S4 = 4 } dp_type;

typedef enum dp_op_kind {
  DP_OP_EMPTY = 0,           /* nothing: what publishing and completing cost */
  DP_OP_GEMV = 1,            /* y[N] = dequantise(quantise(input[K]) . w[N, K]) + bias */
  DP_OP_QUANTIZE = 2,        /* xq[M, K], xScale[M] = quantise(input[M, K]) */
  DP_OP_GEMM = 3,            /* y[M, N] = dequantise(xq[M, K] . w[N, K]) + bias */
  DP_OP_PACK = 4,            /* tiles, colSum = pack(w[N, K] int8) */
  DP_OP_QUANTIZE_PACK = 5,   /* tiles, colSum, wScale = pack(quantise(w[N, K])) */
  DP_OP_PACK_TRANSPOSED = 6, /* tiles, colSum = pack(transpose(w[K, N] int8)) */
  DP_OP_READ = 7,            /* sum of x: read bandwidth */
  DP_OP_PEAK = 8,            /* register-resident multiplies: the int8 peak */
  DP_OP_MEET = 9,            /* nothing, but by every worker: what a full region costs */
  DP_OP_FLOAT = 10,          /* y[M, N] = (x[M, K] . float(w[N, K])) * wScale + bias, nothing quantised */
  DP_OP_EMBED = 11,          /* y[M, K] = float(w[id[M], K]), zeros where none was sampled */
  DP_OP_NORM = 12,           /* x += u; y and (xq, xScale) = x / rms(x) * scale */
  DP_OP_DENSE = 13,          /* y[M, N] = x[M, K] . float(w[N, K]) + bias, w float32 or bfloat16 */
  DP_OP_ROTATE = 14,         /* q = rope(norm(q)) * scale; keys = rope(norm(k)), values = v, into pages */
  DP_OP_ATTEND = 15,         /* out = softmax(q . keys) . values, or parts of it, a page each */
  DP_OP_MERGE = 16,          /* out = those parts put together */
  DP_OP_SAMPLE = 17,         /* the next id of each row of logits, or how likely a given one was */
  DP_OP_GATE = 18,           /* y[M, K] = activation(x[M, K]) * u[M, K] */
  DP_OP_CLOCK = 19,          /* additions that wait for each other, one a cycle: the clock */
  DP_OP_PACK_S4 = 20,        /* tiles, colSum = pack(w[N, K] int4) */
  DP_OP_SEARCH_S4 = 21,      /* u, m, scale of int4 weights near w[N, K] */
  DP_OP_KINDS = 22,
} dp_op_kind;

/* Flags of an op; any of them, or 0. */
typedef enum dp_op_flags {
  DP_TOGETHER = 1, /* starts with the op before it; otherwise all earlier ops are done before it starts */
  DP_X_ROWS = 2,   /* x is a table of M row addresses, not the rows themselves */
  DP_Y_ROWS = 4,   /* likewise y */
  DP_AFTER = 8,    /* of a program's first op: all programs before this one are complete before it starts */
} dp_op_flags;

/* The activation in input = activation(x) * u. */
typedef enum dp_activation {
  DP_ACT_NONE = 0,  /* input = x, there is no u */
  DP_ACT_SILU = 1,  /* SwiGLU */
  DP_ACT_GELU = 2,  /* GeGLU, by tanh */
  DP_ACT_RELU2 = 3, /* ReLU squared */
} dp_activation;

#define DP_FROM_SAMPLE 0x80000000u

/* One row of a batch: which token stands where in which sequence. */
typedef struct dp_row {
  uint32_t id; /* the token; with DP_FROM_SAMPLE: which sample of the batch before has sampled it */
  uint32_t position;
  uint64_t pages; /* dp_pages of its sequence */
} dp_row;

/* Where the pages of a sequence are, in the order of their positions; 0: not there yet. */
typedef struct dp_pages {
  uint64_t count;
  uint64_t at[];
} dp_pages;

/*
 * The attention of one layer. A page holds the keys and values of DP_PAGE positions for all layers; at
 * page_offset begin those of this layer, one head after the other, each (T is cache_type, D head_dim):
 *
 *   keys T [DP_PAGE / 16][D / P][16][P], values T [DP_PAGE / P][D][P]; for int8 then float32 key scales
 *   [DP_PAGE] and value scales [DP_PAGE]
 *
 * P is 2 for bfloat16, where a pair fills a word of 32 bits, and 1 otherwise.
 */
typedef struct dp_attention {
  /* query_heads = kv_heads * group; head_dim is even; max(group, 32) * (3 * D + 98) + 32 <= DP_MAX_K */
  uint32_t query_heads, kv_heads, head_dim;
  uint32_t window;         /* a row sees so many positions up to its own; 0: all */
  uint32_t cache_type;     /* DP_F32, DP_BF16 or DP_S8 */
  float eps;               /* of q_norm and k_norm */
  float scale;             /* of q . k */
  uint32_t split;          /* 1: ATTEND writes parts, which MERGE puts together, for few rows */
  uint64_t q, k, v;        /* float32 [M, query_heads or kv_heads, D]; ROTATE overwrites q and k */
  uint64_t q_norm, k_norm; /* float32 [D], or 0: q and k are not normed */
  uint64_t rotation;       /* float32 [positions][2][D / 2]: cosines, then sines */
  uint64_t page_offset;    /* bytes */
  uint64_t out;            /* float32 [M, query_heads, D] */
  uint64_t parts;          /* float32 [M, query_heads, most pages][2 + D]: maximum, sum, values */
  uint32_t part_pages;     /* most pages of a row in `parts` */
  uint32_t positions;      /* of `rotation` */
} dp_attention;

/*
 * What DP_OP_SAMPLE does with a row of logits, and its outcome. SAMPLE overwrites the logits: they are adjusted, and
 * become -infinity where a mask has no bit. A NaN among them is a fault, as are logits that are all -infinity for
 * SAMPLE, and nothing came of it. Of W[n] = floor(e^((l[n] - max l) / temperature) * 2^30) those are admitted that are
 * among the top_k largest; of these the largest that sum up to top_p of their sum; of these, what is at least
 * min_p * 2^30; always with all that tie. The id is the first whose running sum of admitted W is above random / 2^32 of
 * their sum. Where max l is +infinity all ids that have it are alike.
 */
typedef struct dp_sample {
  uint32_t action; /* dp_sample_action */
  uint32_t id;     /* SAMPLE: the result; SCORE: whose logit is wanted */
  /* results of SCORE, and of SAMPLE with a copy: l[id], max l, sum_n e^(l[n] - max l), of logits as they came */
  float logit, maximum, sum;
  float temperature;  /* finite; 0: the best id, the lowest of several */
  float top_p, min_p; /* 1 and 0: all ids */
  float penalty;      /* repetition penalty; 1: none */
  uint32_t top_k;     /* 0: all ids */
  uint32_t random;    /* uniform bits */
  uint32_t adjustment_count;
  uint64_t adjustments; /* dp_adjustment [adjustment_count], each of another id below N */
  uint32_t outcome;     /* dp_sample_outcome, once a SAMPLE or a SCORE is done */
  uint32_t candidate_count;
  uint64_t candidates; /* dp_candidate [candidate_count]: results of SCORE, and of SAMPLE with a copy */
  uint64_t copy;       /* SAMPLE: float32 [N], scratch for the logits as they came; 0: none are told of */
  uint64_t mask;       /* SAMPLE: uint32 [1 + ceil(N / 32)], a tag and then a bit for each id; 0: all may be sampled */
  uint32_t mask_tag;   /* of the mask that is meant: another thread may not have written it yet */
  uint32_t padding;
} dp_sample;

/* What is done to a logit before an id is sampled. */
typedef struct dp_adjustment {
  uint32_t id; /* | DP_PENALISED: first divided by the penalty, or multiplied if negative */
  float addend;
} dp_adjustment;

#define DP_PENALISED 0x80000000u

/* One of the largest logits, the largest first, of equal ones the lower id; -infinity is none. */
typedef struct dp_candidate {
  uint32_t id; /* UINT32_MAX: there are no more */
  float logit;
} dp_candidate;

typedef enum dp_sample_action { DP_SAMPLE_NOTHING = 0, DP_SAMPLE_TOKEN = 1, DP_SAMPLE_SCORE = 2 } dp_sample_action;

typedef enum dp_sample_outcome {
  DP_SAMPLE_DONE = 1,    /* what was asked for */
  DP_SAMPLE_NAN = 2,     /* nothing: there is a NaN among the logits */
  DP_SAMPLE_MASKED = 3,  /* nothing: all logits are -infinity */
  DP_SAMPLE_OUTSIDE = 4, /* nothing: an id that it names is not below N */
  DP_SAMPLE_LATE = 5,    /* nothing: the mask has another tag */
} dp_sample_outcome;

/*
 * The fault of an op whose row names an id, a position, a page or another row that is not there; the rest of its
 * bits say which row. Such a row is left out.
 */
#define DP_BAD_ROW 0x80000000u

/* ---- ops, and the parameters of each kind ---------------------------------------------------- */

/* GEMV where it quantises for itself, QUANTIZE: xq[M, K], x_scale[M] = quantise(activation(x) * u) */
typedef struct dp_quantize_params {
  uint64_t x;       /* x_type [M, K], or a table of rows */
  uint64_t u;       /* x_type [M, K], or 0: see dp_activation */
  uint64_t xq;      /* quantised rows, dp_row_stride(K) bytes each, 64-byte aligned; 0: GEMV quantises x */
  uint64_t x_scale; /* float32 [M] */
  uint32_t k;
  uint32_t x_type;     /* dp_type: float32, bfloat16, or int8, which is taken as it is */
  uint32_t activation; /* dp_activation */
  uint32_t outliers;   /* of a row, at most: see DP_MAX_OUTLIERS */
} dp_quantize_params;

/* GEMV, GEMM, FLOAT: y[M, N] = dequantise(input[M, K] . w[N, K]) + bias */
typedef struct dp_linear_params {
  dp_quantize_params input;
  uint64_t y;       /* y_type [M, N], or a table of rows */
  uint64_t tiles;   /* int8 [ceil(N/64)][ceil(K/4)][64][4] or int4 [ceil(N/64)][ceil(K/32)][1088], 64-byte aligned */
  uint64_t col_sum; /* int32 [N] padded to 64: sum over k of w[n, k] */
  uint64_t scale;   /* float32 [N] padded to 64 */
  uint64_t bias;    /* float32 [N] padded to 64, or 0 */
  uint32_t n;
  uint32_t y_type; /* dp_type: float32, bfloat16, or int32, the sums themselves */
  uint32_t w_type; /* dp_type: int8 or int4 */
  uint32_t padding;
} dp_linear_params;

/* PACK, PACK_TRANSPOSED, QUANTIZE_PACK, PACK_S4: tiles, col_sum (, scale) = pack(w[N, K]) */
typedef struct dp_pack_params {
  uint64_t w;           /* w_type [N, K]; int8 [K, N] for PACK_TRANSPOSED; nibbles [N, ceil(K/2)] for PACK_S4 */
  uint64_t multipliers; /* of PACK_S4: int8 [N, ceil(K/32)] */
  uint64_t tiles;       /* as in dp_linear_params */
  uint64_t col_sum;
  uint64_t scale; /* written by QUANTIZE_PACK */
  uint32_t n, k;
  uint32_t w_type; /* dp_type: float32 or bfloat16 for QUANTIZE_PACK */
  uint32_t padding;
} dp_pack_params;

/* SEARCH_S4: (u - 8) * m * scale[N] ~ w[N, K], the errors' squares, weighted by input, searched to be small */
typedef struct dp_search_params {
  uint64_t w;           /* w_type [N, stride], of which the first K of a row count */
  uint64_t importance;  /* float32 [K padded to 32 with zeros]: how much each input counts */
  uint64_t nibbles;     /* u: uint8 [N, ceil(K / 2)] */
  uint64_t multipliers; /* m: int8 [N, ceil(K / 32)] */
  uint64_t scale;       /* float32 [N] */
  uint32_t n, k, stride;
  uint32_t w_type; /* dp_type: float32 or bfloat16 */
} dp_search_params;

/* DENSE: y[M, N] = x[M, K] . float(w[N, K]) + bias */
typedef struct dp_dense_params {
  uint64_t x;    /* float32 [M, K], or a table of rows */
  uint64_t w;    /* w_type [N][K padded to 16 with zeros] */
  uint64_t bias; /* float32 [N], or 0 */
  uint64_t y;    /* float32 [M, N], or a table of rows */
  uint32_t n, k;
  uint32_t w_type; /* dp_type: float32 or bfloat16 */
  uint32_t padding;
} dp_dense_params;

/* EMBED: y[M, K] = float(w[id[M], K]), zeros where none was sampled */
typedef struct dp_embed_params {
  uint64_t rows;    /* dp_row [M] */
  uint64_t samples; /* dp_sample [sample_count]: those that DP_FROM_SAMPLE means, or 0 */
  uint64_t w;       /* w_type [N][K padded to 16 with zeros] */
  uint64_t y;       /* float32 [M, K] */
  uint32_t sample_count;
  uint32_t n, k;
  uint32_t w_type; /* dp_type: float32 or bfloat16 */
} dp_embed_params;

/* NORM: x += u; y and (xq, x_scale) = x / rms(x) * scale */
typedef struct dp_norm_params {
  uint64_t x;     /* float32 [N, K]; the sum with u is written back */
  uint64_t u;     /* float32 [N, K], or 0 */
  uint64_t rows;  /* uint32 [M]: which rows of x and u, each once; or 0: the first M */
  uint64_t scale; /* float32 [K] */
  uint64_t y;     /* float32 [M, K], or 0 */
  uint64_t xq;    /* as in dp_quantize_params, or 0 */
  uint64_t x_scale;
  uint32_t n, k;
  uint32_t outliers;
  float eps;
} dp_norm_params;

/* ROTATE: q = rope(norm(q)) * scale; keys = rope(norm(k)), values = v, into pages. ATTEND, MERGE: see dp_attention */
typedef struct dp_attention_params {
  uint64_t rows;  /* dp_row [M] */
  uint64_t layer; /* dp_attention */
} dp_attention_params;

/* GATE: y[M, K] = activation(x[M, K]) * u[M, K] */
typedef struct dp_gate_params {
  uint64_t x, u, y; /* of one type */
  uint32_t k;
  uint32_t type;       /* dp_type: float32 or bfloat16 */
  uint32_t activation; /* dp_activation */
  uint32_t padding;
} dp_gate_params;

/* SAMPLE: what the rows of logits ask for */
typedef struct dp_sample_params {
  uint64_t logits;  /* float32 [M, N] */
  uint64_t samples; /* dp_sample [M] */
  uint32_t n;
  uint32_t padding;
} dp_sample_params;

/* Instead of a distance to ask ahead: four pages in turn, see kernels/ahead.h. */
#define DP_PAGES_IN_TURN 1

/* READ: the sum of x, by `streams` streams, asking `ahead` bytes ahead. PEAK: multiplies. CLOCK: additions. */
typedef struct dp_roofline_params {
  uint64_t x;     /* READ: `pieces` MiB */
  uint64_t count; /* uint64, to which bytes, multiply-adds or cycles are added */
  uint32_t pieces;
  uint32_t streams, ahead;
  uint32_t padding;
} dp_roofline_params;

/*
 * One op as JavaScript writes it. Addresses point into buffers that JavaScript keeps alive until
 * the program is complete.
 */
typedef struct dp_op {
  alignas(DP_CACHE_LINE) uint32_t kind; /* dp_op_kind */
  uint32_t flags;                       /* dp_op_flags */
  uint32_t m;                           /* rows; not of packing, nor of rooflines */
  uint32_t padding;
  union {
    dp_quantize_params quantize;
    dp_linear_params linear;
    dp_pack_params pack;
    dp_search_params search;
    dp_dense_params dense;
    dp_embed_params embed;
    dp_norm_params norm;
    dp_attention_params attention;
    dp_gate_params gate;
    dp_sample_params sample;
    dp_roofline_params roofline;
  };
} dp_op;

_Static_assert(sizeof(dp_op) == 2 * DP_CACHE_LINE, "an op is two cache lines");
_Static_assert(offsetof(dp_op, quantize) == offsetof(dp_op, linear.input), "the input of a Linear is that of QUANTIZE");

/*
 * The workers' progress with one op. Written by dp_publish, then only by workers. One follows
 * the other by dp_progress_bytes(threads), for `range` is only as long as there are workers.
 */
typedef struct dp_progress {
  alignas(DP_CACHE_LINE) _Atomic uint32_t done;  /* units finished */
  alignas(DP_CACHE_LINE) _Atomic uint32_t units; /* units in all */
  _Atomic uint32_t span;                         /* an op's own smallest pieces per unit */
  _Atomic uint32_t grain;                        /* claims are multiples of this while many are left */
  _Atomic uint32_t least;                        /* a claim leaves none, or at least so many, units */
  _Atomic uint32_t cap;                          /* the most units of one claim */
  _Atomic uint32_t macs;                         /* int8 multiply-adds that a unit takes as long as */
  _Atomic uint32_t together;                     /* the op need not wait for those before it */
  _Atomic uint32_t after;                        /* it waits for all programs before */
  _Atomic uint32_t pinned;                       /* every worker runs its own units and no other's */
  /* per worker: epoch << 32 | first << 16 | last, the units [first, last) nobody has claimed */
  _Atomic uint64_t range[DP_MAX_WORKERS];
} dp_progress;

typedef struct dp_slot {
  alignas(DP_CACHE_LINE) _Atomic uint32_t epoch; /* the program this slot holds */
  _Atomic uint32_t op_count;
  _Atomic uint32_t silent; /* its publisher waits in C and needs no notice */
  _Atomic uint32_t ops_done;
  _Atomic uint32_t completed; /* = epoch once every op is done */
  _Atomic uint32_t aborted;   /* 1: workers skip the units that nobody has claimed yet */
  _Atomic uint32_t fault;     /* 1 + the index of what an op found wrong, or DP_BAD_ROW and a row, or 0 */
  _Atomic uint64_t ops;       /* dp_op [op_count]: `own_ops`, or where the publisher keeps them */
  _Atomic uint64_t progress;  /* dp_progress [op_count], likewise */
  alignas(DP_CACHE_LINE) dp_op own_ops[DP_SLOT_OPS];
  dp_progress own_progress[DP_SLOT_OPS];
} dp_slot;

/* The state of a worker's seat in the region. JavaScript writes it, C only reads it. */
typedef enum dp_seat {
  DP_SEAT_EMPTY = 0,
  DP_SEAT_TAKEN = 1,
  DP_SEAT_PARKED = 2,
  DP_SEAT_DISMISSED = 3, /* its worker is asked to leave and has not left yet */
} dp_seat;

typedef struct dp_stats {
  _Atomic uint64_t regions, busy_ns, wait_ns, units, weight_bytes;
} dp_stats;

typedef struct dp_worker {
  alignas(DP_CACHE_LINE) _Atomic uint32_t seat;   /* JavaScript parks on this word */
  alignas(DP_CACHE_LINE) _Atomic uint32_t cursor; /* the last program that this worker has finished with */
  uint32_t op;                                    /* where in program cursor + 1 it stands */
  uint32_t entered;                               /* the last program it took part in */
  uint32_t row_epoch, row_stage;                  /* which row its scratch holds, quantised: when and */
  uint64_t row_address;                           /*   from where it was read */
  uint32_t row_outliers;                          /*   with how many outliers at most */
  float row_scale;
  uint64_t idle_since;   /* when it last had work, or 0 */
  uint32_t index;        /* whose ranges it claims first */
  _Atomic uint32_t held; /* units of op `op` of program `entered`: claimed, and not yet counted as done */
  uint64_t scratch;      /* a quantised row, rows of DP_MAX_K floats and bfloat16; see DP_STACK_BYTES */
  dp_stats stats;
} dp_worker;

typedef struct dp_region {
  alignas(DP_CACHE_LINE) _Atomic uint32_t epoch;  /* the doorbell: programs published so far */
  alignas(DP_CACHE_LINE) _Atomic uint32_t stop;   /* 1: leave, at once */
  _Atomic uint32_t seats;                         /* workers at or above this sit out */
  alignas(DP_CACHE_LINE) _Atomic uint32_t notice; /* 1: a message to JavaScript is in flight */
  alignas(DP_CACHE_LINE) uint32_t threads;
  uint64_t kernels; /* const dp_kernels *: those that were chosen when the region was made */
  alignas(DP_CACHE_LINE) _Atomic uint64_t pace[DP_OP_KINDS]; /* ns that 2^20 MACs of a kind take, or 0 */
  dp_worker workers[DP_MAX_WORKERS + 1];                     /* the last in use is the publisher's thread */
  dp_slot ring[DP_RING];
} dp_region;

/* ---- setting up ------------------------------------------------------------------------------ */

/* Bytes of shared memory that a region of `threads` workers needs, its base 64-byte aligned. */
DP_EXPORT uint64_t dp_region_bytes(uint32_t threads);

/* Makes a region of zeroed memory ready: no programs, every seat empty. */
DP_EXPORT void dp_region_init(dp_region *region, uint32_t threads);

/*
 * Chooses the kernels of regions that are made from now on: the widest this CPU runs, or the named ISA
 * ("amx", "avx512vnni", "avxvnni", "avx2"; on Arm "i8mm", "dotprod", "neon"; "scalar"; in WebAssembly
 * "wasmrelaxed", "wasm"). Returns 0, or -1 where the name is unknown or the CPU lacks it.
 */
DP_EXPORT int dp_select_isa(const char *name);

/* The compiler that built this library, and its version, e.g. "gcc 12.2.0"; static memory. */
DP_EXPORT const char *dp_compiler(void);

/* The chosen ISA's name; static memory. */
DP_EXPORT const char *dp_isa(void);

/*
 * ISA number `index` of all that there are kernels for on this architecture, widest first: its name, NULL
 * past the last, and what keeps it from running on this machine, in a few words, NULL if nothing does.
 * Static memory.
 */
DP_EXPORT const char *dp_isa_name(uint32_t index);
DP_EXPORT const char *dp_isa_obstacle(uint32_t index);

/* Bytes from one quantised row of K activations to the next, as the region's kernels want them. */
DP_EXPORT uint64_t dp_region_row_stride(const dp_region *region, uint32_t k);

/* Asks for huge pages in [address, address + bytes). Returns 0, or the errno. */
DP_EXPORT int dp_advise_huge_pages(void *address, uint64_t bytes);

/* A file in memory, for as long as it is mapped. */
typedef struct dp_mapping {
  uint64_t address; /* of the first byte, at the start of a page */
  uint64_t bytes;   /* of the file */
  uint64_t file;    /* what the system knows the open file by */
} dp_mapping;

/*
 * Maps a whole file, read-only, in memory that all processes share which map it. `path` is UTF-8. The file stays open
 * and locked against writers until dp_unmap_file: on Windows for all, elsewhere for those who ask for a lock (flock).
 * Whoever shortens it all the same makes reads behind its new end fail, with a signal that ends the process. Returns 0,
 * or the errno: EINVAL for an empty file, EWOULDBLOCK for one that a writer has locked, ENOTSUP where files cannot be
 * mapped; on Windows what GetLastError() says.
 */
DP_EXPORT int dp_map_file(const char *path, dp_mapping *mapping);

/* Unmaps a file of dp_map_file and closes it. Nobody may read it any more. */
DP_EXPORT void dp_unmap_file(const dp_mapping *mapping);

/* Lets the calling thread run on these CPUs only. Returns 0, or the errno: ENOSYS where there is no way. */
DP_EXPORT int dp_pin_thread(const uint32_t *cpus, uint32_t count);

/* ---- running --------------------------------------------------------------------------------- */

/*
 * Publishes `op_count` ops and rings the doorbell. They lie in the slot of the next epoch, or, if `ops`
 * is not NULL, there, with `progress` of op_count * dp_progress_bytes(threads) bytes, 64-byte aligned;
 * both stay untouched until the program is complete, and readable until its slot holds another one and every
 * worker has left it behind.
 * `silent`: the caller will wait in dp_help, so no notice is sent. Returns the epoch. The slot
 * must be free: the program 32 epochs ago is complete. One publisher at a time.
 */
DP_EXPORT uint32_t dp_publish(dp_region *region, const dp_op *ops, dp_progress *progress, uint32_t op_count,
                              uint32_t silent);

/* Bytes from the progress of one op to that of the next in a region of `threads` workers. */
DP_EXPORT uint64_t dp_progress_bytes(uint32_t threads);

typedef enum dp_leave {
  DP_LEAVE_IDLE = 0,     /* nothing was published for spin_ns: park */
  DP_LEAVE_NOTICE = 1,   /* programs are complete: notify JavaScript, then come back */
  DP_LEAVE_SLICE = 2,    /* slice_ns is over: let terminate() take effect, then come back */
  DP_LEAVE_UNSEATED = 3, /* the publisher's thread works in this worker's place: park */
  DP_LEAVE_STOP = 4,     /* the region has ended */
} dp_leave;

/* Runs worker `index`'s share of all programs until one of the reasons to leave arises. */
DP_EXPORT int dp_serve(dp_region *region, uint32_t index, uint64_t spin_ns, uint64_t slice_ns);

/*
 * Works beside the workers until program `epoch` is complete, in the place of the last one, which `seats`
 * should have sit out. Returns 1, or 0 where that takes longer than slice_ns: a worker may have died in the middle of
 * a claim, and this thread is the one that has to retire it.
 */
DP_EXPORT uint32_t dp_help(dp_region *region, uint32_t epoch, uint64_t slice_ns);

/*
 * Works in the same place for about turn_ns, and a unit more, at most. Returns 0 where a unit takes so long that
 * a thread that others wait for should not run one, 1 otherwise.
 */
DP_EXPORT uint32_t dp_help_briefly(dp_region *region, uint32_t epoch, uint64_t turn_ns);

/*
 * Releases the claims of worker `index`, whose thread has died, wherever it died; its successor resumes at the first
 * program that this one has not finished with. The caller has aborted the program it was in, which this may complete.
 */
DP_EXPORT void dp_retire(dp_region *region, uint32_t index);

#endif
