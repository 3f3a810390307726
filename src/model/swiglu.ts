/**
 * y = silu(gate) * up, silu(g) = g / (1 + exp(-g)), element by element, https://arxiv.org/abs/2002.05202
 *
 * @param gate float32, any shape
 * @param up float32, the same shape
 */
export function swiglu(gate: Float32Array, up: Float32Array): Float32Array {
  const y = new Float32Array(gate.length)
  for (let i = 0; i < gate.length; i++) y[i] = (gate[i] / (1 + Math.exp(-gate[i]))) * up[i]
  return y
}
