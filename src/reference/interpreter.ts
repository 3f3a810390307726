import { bf16ToFloat32, floatToBf16 } from '../bf16.js'
import { paddedK } from '../layouts/tiles.js'
import { BAD_ROW, OpKind, RowLayout, SampleLayout } from '../native/layout.js'
import type {
  AttentionOp,
  Floats,
  GateOp,
  LinearOp,
  NormOp,
  Op,
  PackOp,
  Rows,
} from '../native/op.js'
import { type AttentionRow, attendShare } from './attention.js'
import { denseShare } from './dense.js'
import { embeddingShare } from './embedding.js'
import { applyGate } from './gate.js'
import { packInt4Share } from './int4-tiles.js'
import { dotOf, floatShare } from './linear.js'
import { packShare } from './pack.js'
import { quantizeRow } from './quantize.js'
import { rmsNormShare } from './rms-norm.js'
import { rotateShare } from './rotate.js'
import { sampleShare } from './sample.js'
import { searchInt4Share } from './search-int4.js'
import { channelsOf, rangeOf, type Share } from './share.js'

/*
 * Runs the ops that C runs, in TypeScript: what serves where no native library loads. The same bits, much slower.
 */

/** This module bundled, for threads to load. */
export const interpreter = new URL('./interpreter.cjs', import.meta.url).href

export interface OpTask extends Share {
  op: Op
}

/** Bytes from one quantised row of K activations to the next: int16, for outliers. */
export function rowStride(k: number): number {
  return paddedK(k) * Int16Array.BYTES_PER_ELEMENT
}

/** Does its share of an op. Returns 0, or 1 + the index of what is wrong with the input, or BAD_ROW + a row. */
export function runOp({ op, part, parts }: OpTask): number {
  const share = { part, parts }
  switch (op.kind) {
    case OpKind.quantize:
      return forRows(share, op.m, (m) => quantize(op, m, quantizedRow(op, m)))
    case OpKind.gemv:
    case OpKind.gemm:
      return multiply(op, share)
    case OpKind.float:
      return multiplyFloats(op, share)
    case OpKind.pack:
    case OpKind.packTransposed:
    case OpKind.quantizePack:
      return pack(op, share)
    case OpKind.packS4:
      return packInt4(op, share)
    case OpKind.searchS4: {
      const { w: weight, k: inFeatures, n, stride, importance, nibbles, multipliers } = op
      const scale = op.scale.subarray(0, n)
      const task = { weight, stride, inFeatures, importance, nibbles, multipliers, scale }
      return searchInt4Share({ ...share, ...task })
    }
    case OpKind.dense: {
      const { inFeatures, outFeatures, data: weight, bias } = op.weight
      const x = op.x.subarray(0, op.m * inFeatures)
      return denseShare({ ...share, x, weight, bias, y: op.y, inFeatures, outFeatures })
    }
    case OpKind.embed: {
      // every token is known: in TypeScript a step begins when the one before has ended
      const rows = op.rows.subarray(0, op.m * RowLayout.words)
      const { data: weight, inFeatures: width } = op.weight
      return embeddingShare({ ...share, rows, weight, y: op.y, width })
    }
    case OpKind.norm:
      return norm(op, share)
    case OpKind.rotate:
      return rotateShare({ ...share, ...op.layer, rows: attentionRows(op) })
    case OpKind.attend:
      return attendShare({ ...share, ...op.layer, rows: attentionRows(op) })
    case OpKind.gate:
      return gate(op, share)
    case OpKind.sample:
      return sampleShare({
        ...share,
        logits: op.logits.subarray(0, op.m * op.n),
        samples: op.samples.words.subarray(0, op.m * SampleLayout.words),
        adjustments: op.samples.adjustments.slice(0, op.m),
        copies: op.samples.copies.slice(0, op.m),
        masks: op.samples.masks.slice(0, op.m),
        candidates: op.samples.candidates.slice(0, op.m),
      })
    default:
      // merge, for attend is never split here; what measures C; and nothing
      return 0
  }
}

/** Runs `each` for its share of M rows; returns the first fault. */
function forRows(share: Share, count: number, each: (m: number) => number | undefined): number {
  const [from, to] = rangeOf(share, count)
  let fault = 0
  for (let m = from; m < to; m++) {
    const found = each(m) ?? 0
    fault ||= found
  }
  return fault
}

// ---- rows ---------------------------------------------------------------------------------------

/** Where row m is, quantised. */
function quantizedRow({ xq, k }: { xq: Rows['xq']; k: number }, m: number): Int16Array {
  if (xq === null) return new Int16Array(paddedK(k))
  return new Int16Array(xq.buffer, xq.byteOffset + m * rowStride(k), paddedK(k))
}

/** xq, xScale[m] = quantise(row m of x, or of activation(x) * u); int8 is taken as it is. */
function quantize(rows: Rows, m: number, xq: Int16Array): undefined {
  const scale = quantizeInput(rows, m, xq.subarray(0, rows.k))
  if (rows.xScale !== null) rows.xScale[m] = scale
}

function quantizeInput({ x, u, k, activation, outliers }: Rows, m: number, q: Int16Array): number {
  const row = x?.subarray(m * k, (m + 1) * k)
  if (row instanceof Int8Array) {
    q.set(row)
    return 1
  }
  let input = row as Floats
  if (u !== null && activation !== 'none') {
    input = applyGate(activation, input, u.subarray(m * k, (m + 1) * k) as typeof input)
  }
  return quantizeRow(widened(input), q, outliers)
}

const widened = (row: Floats) => (row instanceof Float32Array ? row : bf16ToFloat32(row))

// ---- ops ----------------------------------------------------------------------------------------

/** y[m, n] = (float(sum_k xq[m, k] * wq[n, k]) * xScale[m]) * wScale[n] (+ bias[n]), or the sums themselves */
function multiply(op: LinearOp, share: Share): number {
  const { weight, k, y } = op
  const { outFeatures: N, scale, bias } = weight
  const [from, to] = channelsOf(share, N)
  const rows = Array.from({ length: op.m }, (_, m) => {
    const xq = quantizedRow(op, m)
    const xScale = op.xq === null ? quantizeInput(op, m, xq.subarray(0, k)) : (op.xScale?.[m] ?? 1)
    return { xq, xScale }
  })
  for (let n = from; n < to; n++) {
    const dot = dotOf(weight, n)
    for (const [m, { xq, xScale }] of rows.entries()) {
      const acc = dot(xq)
      if (y instanceof Int32Array || scale === undefined) {
        y[m * N + n] = acc as never
        continue
      }
      let value = Math.fround(Math.fround(Math.fround(acc) * xScale) * scale[n])
      if (bias !== undefined) value = Math.fround(value + bias[n])
      y[m * N + n] = (y instanceof Float32Array ? value : floatToBf16(value)) as never
    }
  }
  return 0
}

/** y[m, n] = (sum_k x[m, k] * float(wq[n, k])) * wScale[n] (+ bias[n]) */
function multiplyFloats({ weight, x, y, m, k }: LinearOp, share: Share): number {
  return floatShare({ ...share, x: x?.subarray(0, m * k) as Floats, y: y as Floats, weight })
}

function pack(op: PackOp, share: Share): number {
  const { tiles, colSum, n: N, k: K } = op
  const weight = op.kind === OpKind.packTransposed ? transpose(op, share) : op.w
  const scale = op.scale ?? new Float32Array(0)
  const task = { weight, tiles, colSum, scale, inFeatures: K, outFeatures: N }
  return packShare({ ...share, ...task })
}

function packInt4({ w, multipliers, tiles, colSum, n, k }: PackOp, share: Share): number {
  const nibbles = new Uint8Array(w.buffer, w.byteOffset, w.byteLength)
  const weight = { nibbles, multipliers: multipliers as Int8Array }
  return packInt4Share({ ...share, weight, tiles, colSum, inFeatures: k, outFeatures: n })
}

/** [N, K] of w [K, N], as far as a share reads it. */
function transpose({ w, n: N, k: K }: PackOp, share: Share): Int8Array {
  const [from, to] = channelsOf(share, N)
  const transposed = new Int8Array(N * K)
  for (let n = from; n < to; n++) {
    for (let k = 0; k < K; k++) transposed[n * K + k] = w[k * N + n]
  }
  return transposed
}

function norm(op: NormOp, share: Share): number {
  const { k, rows, eps } = op
  const weight = op.scale.subarray(0, k)
  return forRows(share, op.m, (m) => {
    const row = rows === null ? m : rows[m]
    if (rows !== null && row >= op.n) return BAD_ROW + m
    const rowOf = (matrix: Float32Array, i: number) => matrix.subarray(i * k, (i + 1) * k)
    const y = op.y === null ? new Float32Array(k) : rowOf(op.y, m)
    const u = op.u === null ? undefined : rowOf(op.u, row)
    const one = { x: rowOf(op.x, row), u, rows: undefined, weight, eps: Math.fround(eps), y }
    rmsNormShare({ ...one, part: 0, parts: 1 })
    if (op.xq === null || op.xScale === null) return
    op.xScale[m] = quantizeRow(y, quantizedRow(op, m).subarray(0, k), op.outliers)
    return
  })
}

function attentionRows({ rows, m }: AttentionOp): AttentionRow[] {
  return rows.pages.slice(0, m).map((pages, i) => ({
    position: rows.words[i * RowLayout.words + RowLayout.position],
    pages: pages.map(({ bytes }) => bytes),
  }))
}

function gate({ activation, x, u, y, m, k }: GateOp, share: Share): number {
  const [from, to] = rangeOf(share, m * k)
  applyGate<Floats>(activation, x.subarray(from, to), u.subarray(from, to), y.subarray(from, to))
  return 0
}
