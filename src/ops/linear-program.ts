import type { CallMemory } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import { type NativeOp, OpFlag, OpKind, type ScriptOp } from '../pool/program.js'
import type { ActivationArray, Input } from './activations.js'
import { type LinearTask, linearShare } from './oracle.js'
import type { Weight } from './weight.js'

/*
 * The ops that Linears are made of. One row is one op, GEMV, in which every worker quantises the row for
 * itself. More rows are two: quantise all rows, then GEMM; the quantised rows serve any number of weights.
 */

/** Rows for a multiplication: one as it is, or several that an op quantises first. */
export type Rows =
  | { count: 1; type: number; x: number; u?: number; activation?: number }
  | { count: number; type: number; xq: number; xScale: number }

/** Where rows come from: their addresses, and how many of them there are. */
export interface RowSource {
  count: number
  /** dp_type. */
  type: number
  k: number
  x: number
  flags?: number
  /** The input is activation(x) * u. */
  u?: number
  activation?: number
}

/** Pushes what makes rows ready to be multiplied. */
export function quantizeOps(
  pool: Pool,
  memory: CallMemory,
  ops: NativeOp[],
  source: RowSource,
): Rows {
  const { count, type, ...rest } = source
  if (count === 1 && !source.flags) return { ...rest, count: 1, type }
  const stride = pool.rowStride(source.k)
  const xq = pool.addressOf(memory.take(count * (stride + 4)))
  const xScale = xq + count * stride
  ops.push({ kind: OpKind.quantize, xType: type, m: count, xq, xScale, ...rest })
  return { count, type, xq, xScale }
}

/** y = rows W^T (+ bias). */
export function multiplyOp(rows: Rows, weight: Weight, y: number, flags = 0): NativeOp {
  const { count, type, ...where } = rows
  const { inFeatures: k, outFeatures: n, addresses } = weight
  const kind = 'xq' in rows ? OpKind.gemm : OpKind.gemv
  return { kind, xType: type, yType: type, m: count, k, n, y, flags, ...where, ...addresses }
}

/** Starts with the op before it: they do not need each other. */
export const TOGETHER = OpFlag.together

/** y = x W^T (+ bias) in TypeScript. */
export function linearScript(x: ActivationArray, weight: Weight, y: ActivationArray): ScriptOp {
  const { tiles, scale, bias, inFeatures, outFeatures } = weight
  const args: Omit<LinearTask, 'part' | 'parts'> = {
    x,
    y,
    tiles,
    scale,
    bias,
    inFeatures,
    outFeatures,
  }
  return { module: oracle, run: linearShare, args }
}

/** The module with the TypeScript functions of all ops. */
export const oracle = new URL('./oracle.js', import.meta.url).href

/** Where the rows of a call's input are. */
export function rowsOf(pool: Pool, input: Input, k: number): RowSource {
  return { count: input.rows, type: input.nativeType, k, x: pool.addressOf(input.data) }
}
