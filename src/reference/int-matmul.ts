import type { Share } from '../pool/program.js'
import { rangeOf } from './share.js'

/*
 * y[m, n] = sum_k a[m, k] * b[k, n], exact in int32.
 */

/** This module, for workers to import. */
export const intMatmulModule = import.meta.url

export interface IntMatmulTask extends Share {
  /** int8 [M, K]. */
  a: Int8Array
  /** int8 [K, N]. */
  b: Int8Array
  /** int32 [M, N]. */
  y: Int32Array
  m: number
  k: number
  n: number
}

/** y[m, n] = sum_k a[m, k] * b[k, n] */
export function intMatmulShare(task: IntMatmulTask): number {
  const { a, b, y, m: M, k: K, n: N } = task
  const [from, to] = rangeOf(task, M)
  for (let m = from; m < to; m++) {
    const row = y.subarray(m * N, (m + 1) * N).fill(0)
    for (let k = 0; k < K; k++) {
      const factor = a[m * K + k]
      for (let n = 0; n < N; n++) row[n] += factor * b[k * N + n]
    }
  }
  return 0
}
