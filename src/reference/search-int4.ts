import { bf16ToFloat32 } from '../bf16.js'
import { type Int4Weight, int4Strides } from './int4.js'
import { Int4Search, packLevels } from './int4-search.js'
import { rangeOf, type Share } from './share.js'

/** Weights to quantise to four bits. */
export interface SearchInt4Task extends Share, Int4Weight {
  /** float32 or bfloat16 bits [N, stride]; the first K of a row count. */
  weight: Float32Array | Uint16Array
  stride: number
  inFeatures: number
  /** How much each input counts: float32 [K padded to 32 with zeros]. */
  importance: Float32Array
  /** float32 [N] */
  scale: Float32Array
}

/** nibbles, multipliers, scale = search(weight); returns 0, or 1 + a channel whose weights are not all finite. */
export function searchInt4Share(task: SearchInt4Task): number {
  const { weight, stride, inFeatures: K, importance, nibbles, multipliers, scale } = task
  const [from, to] = rangeOf(task, scale.length)
  const search = new Int4Search(K, importance)
  const levels = new Int8Array(K)
  const strides = int4Strides(K)
  const rowOf = <T extends Int8Array | Uint8Array>(array: T, n: number, size: number) =>
    array.subarray(n * size, (n + 1) * size) as T
  for (let n = from; n < to; n++) {
    const row = weight.subarray(n * stride, n * stride + K)
    const float = row instanceof Float32Array ? row : bf16ToFloat32(row)
    scale[n] = search.search(float, levels, rowOf(multipliers, n, strides.multipliers))
    if (Number.isNaN(scale[n])) return n + 1
    packLevels(levels, rowOf(nibbles, n, strides.nibbles))
  }
  return 0
}
