import { bf16ToFloat32, floatToBf16 } from '../bf16.js'
import { NR, paddedK, tileIndex } from '../layouts/tiles.js'
import { channelsOf, type Share } from './share.js'

/*
 * y[m, n] = (float(acc[m, n]) * xScale[m]) * wScale[n] (+ bias[n]), acc = sum_k xq[m, k] * wq[n, k]; and the same of
 * activations that are not quantised.
 */

/** sum_k xq[k] * w[n, k] over packed tiles; xq is padded to whole quads. */
export function dotTile(xq: Int16Array, tiles: Int8Array, n: number, inFeatures: number): number {
  let acc = 0
  for (let k = 0, at = tileIndex(n, 0, inFeatures); k < xq.length; k += 4, at += NR * 4) {
    acc +=
      xq[k] * tiles[at] +
      xq[k + 1] * tiles[at + 1] +
      xq[k + 2] * tiles[at + 2] +
      xq[k + 3] * tiles[at + 3]
  }
  return acc
}

/** Quads of k summed up before their sum joins the total; see native/src/kernels/float/float_dot.c. */
const STRETCH = 64

export interface FloatTask extends Share {
  /** float32 or bfloat16 bits [M, K]. */
  x: Float32Array | Uint16Array
  /** float32 or bfloat16 bits [M, N]. */
  y: Float32Array | Uint16Array
  tiles: Int8Array
  scale: Float32Array
  bias: Float32Array | undefined
  inFeatures: number
  outFeatures: number
}

/** y[m, n] = (sum_k x[m, k] * float(wq[n, k])) * wScale[n] (+ bias[n]), summed as the kernels sum. */
export function floatShare(task: FloatTask): number {
  const { x, y, tiles, scale, bias, inFeatures: K, outFeatures: N } = task
  const [from, to] = channelsOf(task, N)
  const row = new Float32Array(paddedK(K))
  for (let m = 0; m * K < x.length; m++) {
    const values = x.subarray(m * K, (m + 1) * K)
    row.set(values instanceof Float32Array ? values : bf16ToFloat32(values))
    for (let n = from; n < to; n++) {
      let value = Math.fround(floatDotTile(row, tiles, n, K) * scale[n])
      if (bias !== undefined) value = Math.fround(value + bias[n])
      y[m * N + n] = y instanceof Float32Array ? value : floatToBf16(value)
    }
  }
  return 0
}

function floatDotTile(x: Float32Array, tiles: Int8Array, n: number, inFeatures: number): number {
  const { fround } = Math
  let total = 0
  for (let k0 = 0; k0 < x.length; k0 += STRETCH * 4) {
    const end = Math.min(k0 + STRETCH * 4, x.length)
    const sum = [0, 0, 0, 0]
    for (let k = k0; k < end; k++) {
      const product = fround(x[k] * tiles[tileIndex(n, k, inFeatures)])
      sum[k % 4] = fround(sum[k % 4] + product)
    }
    total = fround(total + fround(fround(sum[0] + sum[1]) + fround(sum[2] + sum[3])))
  }
  return total
}
