/*
 * int8 Linears in C with OpenMP, in plain loops that gcc vectorises well: with
 * -O3 -march=native the products are vpdpbusd where the CPU has it.
 *
 *   y[M, N] = (float(xq[M, K] . w[N, K]) * xScale[M]) * wScale, xq = quantise(x) row by row
 *
 * Rows are quantised to unsigned bytes, q + 128, since that is what the instruction multiplies with
 * signed ones; then 128 times the sum of a channel's weights is subtracted.
 *
 * usage: linear K N layers wScale < requests
 *
 * stdin begins with the first layer's weights, int8 [N, K]; the others' are random. Then come
 * requests, each an int32:
 *   M > 0   x, float32 [M, K], follows: it replaces the rows. Prints the first layer's result for
 *           the last row.
 *   M = 0   Prints a sample: durations of calls that go from layer to layer, microseconds.
 */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A sample takes this long; one call at least. */
#define SAMPLE_MICROS 25e3

/* The sums of a tile of MR rows and NR channels stay in registers. */
enum { MR = 4, NR = 4 };

/* These channels stay in the L1 cache while all rows pass. */
enum { NC = 16 };

typedef struct {
  int8_t *w;    /* [N, K] */
  int32_t *sum; /* [N]: of each channel's weights */
} layer;

typedef struct {
  int M;
  float *x;       /* [M, K] */
  uint8_t *xq;    /* [M, K] */
  float *x_scale; /* [M] */
  float *y;       /* [M, N] */
} rows;

static int K, N;
static float w_scale;

/* ---- the Linear -------------------------------------------------------------------------------- */

static float quantize_row(const float *restrict x, uint8_t *restrict xq) {
  float top = 1e-8f;
  for (int k = 0; k < K; k++) top = fmaxf(top, fabsf(x[k]));
  float inverse = 127 / top;
  for (int k = 0; k < K; k++) xq[k] = (uint8_t)((int)rintf(x[k] * inverse) + 128);
  return top / 127;
}

static void gemv(layer l, rows r) {
  const uint8_t *restrict x = r.xq;
  r.x_scale[0] = quantize_row(r.x, r.xq);
#pragma omp parallel for schedule(static)
  for (int n = 0; n < N; n++) {
    const int8_t *restrict w = l.w + (size_t)n * K;
    int32_t acc = 0;
    for (int k = 0; k < K; k++) acc += (int)x[k] * (int)w[k];
    r.y[n] = (float)(acc - 128 * l.sum[n]) * r.x_scale[0] * w_scale;
  }
}

/* Rows m to m + MR, channels n to n + NR. */
static void tile(layer l, rows r, int m, int n) {
  const uint8_t *restrict x = r.xq + (size_t)m * K;
  const int8_t *restrict w = l.w + (size_t)n * K;
  int32_t acc[MR][NR] = {{0}};
  for (int k = 0; k < K; k++)
    for (int i = 0; i < MR; i++)
      for (int j = 0; j < NR; j++)
        acc[i][j] += (int)x[(size_t)i * K + k] * (int)w[(size_t)j * K + k];
  for (int i = 0; i < MR; i++)
    for (int j = 0; j < NR; j++)
      r.y[(size_t)(m + i) * N + n + j] =
          (float)(acc[i][j] - 128 * l.sum[n + j]) * r.x_scale[m + i] * w_scale;
}

/* M is a multiple of MR, N of NC. */
static void gemm(layer l, rows r) {
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int m = 0; m < r.M; m++)
      r.x_scale[m] = quantize_row(r.x + (size_t)m * K, r.xq + (size_t)m * K);
#pragma omp for schedule(static)
    for (int block = 0; block < N; block += NC)
      for (int m = 0; m < r.M; m += MR)
        for (int n = block; n < block + NC; n += NR) tile(l, r, m, n);
  }
}

static void linear(layer l, rows r) {
  if (r.M == 1)
    gemv(l, r);
  else
    gemm(l, r);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) {
    perror("linear");
    exit(1);
  }
  return memory;
}

static void read_all(void *to, size_t bytes) {
  if (fread(to, 1, bytes, stdin) != bytes) exit(1);
}

static layer make_layer(int is_first) {
  static uint32_t random = 1;
  size_t bytes = (size_t)N * K;
  layer l = {allocate(bytes), allocate(N * sizeof(int32_t))};
  if (is_first) read_all(l.w, bytes);
  for (size_t i = 0; i < bytes && !is_first; i++) {
    random = random * 1664525 + 1013904223;
    l.w[i] = (int8_t)(random >> 24);
  }
  for (int n = 0; n < N; n++) {
    l.sum[n] = 0;
    for (int k = 0; k < K; k++) l.sum[n] += l.w[(size_t)n * K + k];
  }
  return l;
}

static rows read_rows(rows old, int M) {
  free(old.x);
  free(old.xq);
  free(old.x_scale);
  free(old.y);
  rows r = {
      .M = M,
      .x = allocate((size_t)M * K * sizeof(float)),
      .xq = allocate((size_t)M * K),
      .x_scale = allocate(M * sizeof(float)),
      .y = allocate((size_t)M * N * sizeof(float)),
  };
  read_all(r.x, (size_t)M * K * sizeof(float));
  return r;
}

static double now_micros(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec * 1e-3;
}

static void print_sample(const layer *layers, int count, rows r) {
  static int turn = 0;
  linear(layers[turn++ % count], r); /* wakes the threads */
  double sum = 0;
  while (sum < SAMPLE_MICROS) {
    double start = now_micros();
    linear(layers[turn++ % count], r);
    double duration = now_micros() - start;
    printf("%.3f ", duration);
    sum += duration;
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 1;
  K = atoi(argv[1]);
  N = atoi(argv[2]);
  int count = atoi(argv[3]);
  w_scale = (float)atof(argv[4]);
  layer *layers = allocate(count * sizeof(layer));
  for (int i = 0; i < count; i++) layers[i] = make_layer(i == 0);
  rows r = {0};
  int32_t M;
  while (fread(&M, sizeof M, 1, stdin) == 1) {
    if (M > 0) {
      r = read_rows(r, M);
      linear(layers[0], r);
      for (int n = 0; n < N; n++) printf("%.9g ", r.y[(size_t)(M - 1) * N + n]);
    } else {
      print_sample(layers, count, r);
    }
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
