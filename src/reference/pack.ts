import { bf16ToFloat32 } from '../bf16.js'
import { paddedK, tileIndex } from '../layouts/tiles.js'
import { quantizeChannel } from './quantize.js'
import { channelsOf, type Share } from './share.js'

/*
 * tiles, colSum[n] = w[n, k], sum_k w[n, k]: weights as all kernels read them.
 */

export interface PackTask extends Share {
  /** int8, float32 or bfloat16 bits [N, K]. */
  weight: Int8Array | Float32Array | Uint16Array
  tiles: Int8Array
  colSum: Int32Array
  /** Written where the weight is float. */
  scale: Float32Array
  inFeatures: number
  outFeatures: number
}

/** tiles, colSum = pack(w); a float weight is quantised first, and its scales written. */
export function packShare(task: PackTask): number {
  const { weight, tiles, colSum, scale, inFeatures: K, outFeatures: N } = task
  const [from, to] = channelsOf(task, N)
  // zeros after K, which pad the tiles
  const padded = new Int8Array(paddedK(K))
  const quantized = padded.subarray(0, K)
  for (let n = from; n < to; n++) {
    const row = weight.subarray(n * K, (n + 1) * K)
    if (row instanceof Int8Array) {
      quantized.set(row)
    } else {
      const float = row instanceof Float32Array ? row : bf16ToFloat32(row)
      scale[n] = quantizeChannel(float, quantized)
      if (Number.isNaN(scale[n])) return n + 1
    }
    colSum[n] = 0
    for (let k = 0; k < padded.length; k++) {
      tiles[tileIndex(n, k, K)] = padded[k]
      colSum[n] += padded[k]
    }
  }
  return 0
}
