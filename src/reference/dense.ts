import { bf16ToFloat32 } from '../bf16.js'
import { rangeOf, type Share } from './share.js'
import { denseStride, dot16 } from './sum16.js'

/*
 * y[m, n] = sum_k x[m, k] * float(w[n, k]) (+ bias[n]): a Linear whose weights stay float. The same
 * float32 steps as native/src/kernels/float/dense.c.
 */

export interface DenseTask extends Share {
  /** float32 [M, K]. */
  x: Float32Array
  /** float32 or bfloat16 bits [N, K], rows padded as {@link DenseWeight} has them. */
  weight: Float32Array | Uint16Array
  /** float32 [N]. */
  bias: Float32Array | undefined
  /** float32 [M, N]. */
  y: Float32Array
  inFeatures: number
  outFeatures: number
}

/** Its share of the channels. */
export function denseShare(task: DenseTask): number {
  const { x, weight, bias, y, inFeatures: K, outFeatures: N } = task
  const [from, to] = rangeOf(task, N)
  for (let n = from; n < to; n++) {
    const at = n * denseStride(K)
    const channel = weight.subarray(at, at + K)
    const float = channel instanceof Float32Array ? channel : bf16ToFloat32(channel)
    for (let m = 0; m * K < x.length; m++) {
      const sum = dot16(x.subarray(m * K, (m + 1) * K), float)
      y[m * N + n] = bias === undefined ? sum : sum + bias[n]
    }
  }
  return 0
}
