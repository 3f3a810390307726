/**
 * y[m, i] = x[m, i] / sqrt(mean_i x[m, i]^2 + eps) * weight[i], https://arxiv.org/abs/1910.07467
 *
 * @param x float32 [M, D]; any M
 * @param weight float32 [D]
 * @param eps keeps a row of zeros from dividing by zero
 * @returns float32 [M, D]
 */
export function rmsNorm(x: Float32Array, weight: Float32Array, eps: number): Float32Array {
  const D = weight.length
  const y = new Float32Array(x.length)
  for (let at = 0; at < x.length; at += D) {
    let squares = 0
    for (let i = 0; i < D; i++) squares += x[at + i] * x[at + i]
    const scale = Math.fround(1 / Math.sqrt(squares / D + eps))
    for (let i = 0; i < D; i++) y[at + i] = Math.fround(x[at + i] * scale) * weight[i]
  }
  return y
}
