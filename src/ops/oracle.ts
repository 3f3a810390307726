import { bf16ToFloat32, floatToBf16 } from '../bf16.js'
import type { Share } from '../pool/program.js'
import { NR, paddedK, tileIndex } from './pack.js'
import { quantizeChannel } from './quantize.js'
import { rangeOf } from './share.js'

/*
 * What the native ops compute, plainly: the reference of every kernel, and what serves where no native
 * library loads. Each function does one share of an op and returns 0, or 1 + the index of a fault.
 */

/** The channels [from, to) of a share, whole blocks. */
export function channelsOf(share: Share, outFeatures: number): [from: number, to: number] {
  const [from, to] = rangeOf(share, Math.ceil(outFeatures / NR))
  return [from * NR, Math.min(to * NR, outFeatures)]
}

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
