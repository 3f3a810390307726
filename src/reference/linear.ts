import { bf16ToFloat32, floatToBf16 } from '../bf16.js'
import { NR, paddedK, tileIndex } from '../layouts/tiles.js'
import type { PackedWeight } from '../native/op.js'
import { decodeInt4Tiles } from './int4-tiles.js'
import { channelsOf, type Share } from './share.js'

/*
 * y[m, n] = (float(acc[m, n]) * xScale[m]) * wScale[n] (+ bias[n]), acc = sum_k xq[m, k] * wq[n, k]; and the same of
 * activations that are not quantised.
 */

type Weights = Pick<PackedWeight, 'type' | 'tiles' | 'inFeatures'>

/** Returns what computes sum_k xq[k] * w[n, k] of channel n; xq is padded to whole quads. */
export function dotOf({ type, tiles, inFeatures }: Weights, n: number): (xq: Int16Array) => number {
  if (type === 'int8') return (xq) => dotTile(xq, tiles, n, inFeatures)
  const w8 = decodeInt4Tiles(tiles, n, inFeatures)
  return (xq) => xq.reduce((acc, x, k) => acc + x * w8[k], 0)
}

function dotTile(xq: Int16Array, tiles: Int8Array, n: number, inFeatures: number): number {
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
  weight: Weights & Pick<PackedWeight, 'outFeatures' | 'scale' | 'bias'>
}

/** y[m, n] = (sum_k x[m, k] * float(wq[n, k])) * wScale[n] (+ bias[n]), summed as the kernels sum. */
export function floatShare(task: FloatTask): number {
  const { x, y, weight } = task
  const { bias, inFeatures: K, outFeatures: N } = weight
  const scale = weight.scale as Float32Array
  const [from, to] = channelsOf(task, N)
  const rows = Array.from({ length: x.length / K }, (_, m) => {
    const row = new Float32Array(paddedK(K))
    const values = x.subarray(m * K, (m + 1) * K)
    row.set(values instanceof Float32Array ? values : bf16ToFloat32(values))
    return row
  })
  for (let n = from; n < to; n++) {
    const w8 = channelOf(weight, n)
    for (const [m, row] of rows.entries()) {
      let value = Math.fround(floatDot(row, w8) * scale[n])
      if (bias !== undefined) value = Math.fround(value + bias[n])
      y[m * N + n] = y instanceof Float32Array ? value : floatToBf16(value)
    }
  }
  return 0
}

/** Channel n, padded to whole quads. */
function channelOf({ type, tiles, inFeatures }: Weights, n: number): Int8Array {
  if (type === 'int4') return decodeInt4Tiles(tiles, n, inFeatures)
  return new Int8Array(paddedK(inFeatures)).map((_, k) => tiles[tileIndex(n, k, inFeatures)])
}

function floatDot(x: Float32Array, w8: Int8Array): number {
  const { fround } = Math
  let total = 0
  for (let k0 = 0; k0 < x.length; k0 += STRETCH * 4) {
    const end = Math.min(k0 + STRETCH * 4, x.length)
    const sum = [0, 0, 0, 0]
    for (let k = k0; k < end; k++) {
      const product = fround(x[k] * w8[k])
      sum[k % 4] = fround(sum[k % 4] + product)
    }
    total = fround(total + fround(fround(sum[0] + sum[1]) + fround(sum[2] + sum[3])))
  }
  return total
}
