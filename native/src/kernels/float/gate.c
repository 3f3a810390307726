/*
 * gate.c: out[k] = activation(g[k]) * u[k]
 *
 *   SiLU   g / (1 + e^-g)
 *   GELU   g / (1 + e^(-2 sqrt(2 / pi) (g + 0.044715 g^3))), which is its approximation by tanh
 *   ReLU2  max(g, 0)^2
 */
#include "../../kernel_table.h"
#include "../../registers.h"
#include "exp.h"
#include "per_isa.h"

static inline float silu(float g) { return g * dp_sigmoid(g); }

static inline float gelu(float g) {
  const float cubic = g + 0.044715f * (g * g * g);
  return g * dp_sigmoid(1.5957691216f * cubic);
}

static inline float relu2(float g) {
  /* keeps a NaN */
  const float positive = g < 0.0f ? 0.0f : g;
  return positive * positive;
}

typedef float activation_fn(float g);

DP_INLINE void gate_f32(const float *g, const float *u, size_t k, activation_fn *activation, float *out) {
  for (size_t i = 0; i < k; i++) out[i] = activation(g[i]) * u[i];
}

DP_INLINE void gate_bf16(const uint16_t *g, const uint16_t *u, size_t k, activation_fn *activation, uint16_t *out) {
  for (size_t i = 0; i < k; i++) {
    const float activated = dp_bf16_to_float(dp_float_to_bf16(activation(dp_bf16_to_float(g[i]))));
    out[i] = dp_float_to_bf16(activated * dp_bf16_to_float(u[i]));
  }
}

void DP_PER_ISA(dp_gate_f32)(const void *g, const void *u, size_t k, dp_activation activation, void *out) {
  switch (activation) {
    case DP_ACT_GELU: gate_f32(g, u, k, gelu, out); break;
    case DP_ACT_RELU2: gate_f32(g, u, k, relu2, out); break;
    default: gate_f32(g, u, k, silu, out); break;
  }
}

void DP_PER_ISA(dp_gate_bf16)(const void *g, const void *u, size_t k, dp_activation activation, void *out) {
  switch (activation) {
    case DP_ACT_GELU: gate_bf16(g, u, k, gelu, out); break;
    case DP_ACT_RELU2: gate_bf16(g, u, k, relu2, out); break;
    default: gate_bf16(g, u, k, silu, out); break;
  }
}
