import { rangeOf, type Share } from './share.js'
import { dot16 } from './sum16.js'

/*
 * x += u; y[m, k] = x[m, k] / sqrt(mean_k x[m, k]^2 + eps) * w[k], https://arxiv.org/abs/1910.07467: the
 * residual stream takes what a layer has made, and is scaled for the next. The same float32 steps as
 * native/src/kernels/float/rms_norm.c.
 */

const { fround } = Math

export interface RmsNormTask extends Share {
  /** float32 [., K]; the sum with u is written back. */
  x: Float32Array
  /** float32 [., K], added to x first. */
  u: Float32Array | undefined
  /** Which rows of x and u, each once; all by default. */
  rows: Uint32Array | undefined
  /** float32 [K]. */
  weight: Float32Array
  /** Keeps a row of zeros from dividing by zero; a float32. */
  eps: number
  /** float32 [M, K]. */
  y: Float32Array
}

/** Its share of the rows. */
export function rmsNormShare(task: RmsNormTask): number {
  const { x, u, rows, weight, eps, y } = task
  const K = weight.length
  const [from, to] = rangeOf(task, y.length / K)
  for (let m = from; m < to; m++) {
    const at = (rows === undefined ? m : rows[m]) * K
    const row = x.subarray(at, at + K)
    if (u !== undefined) for (let k = 0; k < K; k++) row[k] += u[at + k]
    const mean = fround(dot16(row, row) / K)
    const scale = fround(1 / fround(Math.sqrt(fround(mean + eps))))
    for (let k = 0; k < K; k++) y[m * K + k] = fround(row[k] * scale) * weight[k]
  }
  return 0
}
