import { bf16ToFloat32 } from '../../bf16.js'
import { type Int4Weight, int4Strides } from '../../reference/int4.js'
import { rangeOf, type Share } from '../../reference/share.js'
import { Int4Search, packLevels } from './int4-search.js'

/** This module bundled, for threads to load. */
export const int4Quantizing = new URL('./int4-share.cjs', import.meta.url).href

/** Weights to quantise, on threads that run TypeScript. */
export interface Int4Task extends Share, Int4Weight {
  /** float32 or bfloat16 bits [N, stride]; the first K of a row count. */
  weight: Float32Array | Uint16Array
  stride: number
  inFeatures: number
  /** float64 [K]: how much each input counts. */
  moments: Float64Array | undefined
  /** float32 [N] */
  scale: Float32Array
}

/** nibbles, multipliers, scale = quantise(weight); returns 0, or 1 + a channel whose weights are not all finite. */
export function quantizeInt4Share(task: Int4Task): number {
  const { weight, stride, inFeatures: K, moments, multipliers, scale } = task
  const [from, to] = rangeOf(task, scale.length)
  const search = new Int4Search(K, moments)
  const levels = new Int8Array(K)
  const groups = int4Strides(K).multipliers
  for (let n = from; n < to; n++) {
    const row = weight.subarray(n * stride, n * stride + K)
    const float = row instanceof Float32Array ? row : bf16ToFloat32(row)
    scale[n] = search.search(float, levels, multipliers.subarray(n * groups, (n + 1) * groups))
    if (Number.isNaN(scale[n])) return n + 1
    packLevels(task, n, levels)
  }
  return 0
}
