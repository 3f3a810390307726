import type { CallMemory } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import { type ArgsOf, type NativeOp, OpFlag, OpKind, type ScriptOp } from '../pool/program.js'
import { type LinearTask, linearModule, linearShare } from '../reference/linear.js'
import type { ActivationArray } from '../tensor.js'
import type { Input } from './activations.js'
import type { Weight } from './weight.js'

/*
 * The ops that Linears are made of. One row is one op, GEMV, in which every worker quantises the row for
 * itself. More rows are two: quantise all rows, then GEMM; the quantised rows serve any number of weights.
 */

/** Rows of activations: where they are, and how many. */
export interface Rows {
  count: number
  /** dp_type. */
  type: number
  k: number
  /** Address of the first row, or of a table of rows if `flags` say so. */
  x: number
  flags: number
  /** Address of u where the input is activation(x) * u; 0 otherwise. */
  u: number
  activation: number
  /** Of a row, at most. */
  outliers: number
}

/** Rows ready to be multiplied: any number that an op has quantised, or one, which GEMV quantises. */
export interface ReadyRows extends Rows {
  /** Addresses of the quantised rows and their scales; 0 for a row that is not quantised yet. */
  xq: number
  xScale: number
}

/** The rows of a call's input, for a weight. */
export function rowsOf(pool: Pool, input: Input, weight: Weight): Rows {
  const { rows: count, nativeType: type } = input
  const { inFeatures: k, outliers } = weight
  return { count, type, k, x: pool.addressOf(input.data), flags: 0, u: 0, activation: 0, outliers }
}

/** Pushes what makes rows ready to be multiplied. */
export function quantizeOps(
  pool: Pool,
  memory: CallMemory,
  ops: NativeOp[],
  { count, type, k, x, flags, u, activation, outliers }: Rows,
): ReadyRows {
  let [xq, xScale] = [0, 0]
  if (count !== 1 || flags !== 0) {
    const stride = pool.rowStride(k)
    xq = pool.addressOf(memory.acquire(count * (stride + 4)))
    xScale = xq + count * stride
    const kind = OpKind.quantize
    ops.push({ kind, xType: type, m: count, k, x, flags, u, activation, xq, xScale, outliers })
  }
  return { count, type, k, x, flags, u, activation, outliers, xq, xScale }
}

/** y = rows W^T (+ bias), y float32 or bfloat16 like the rows. */
export function multiplyOp(rows: ReadyRows, weight: Weight, y: number, flags = 0): NativeOp {
  const { tiles, colSum, scale, bias } = weight.addresses
  return {
    kind: rows.count === 1 ? OpKind.gemv : OpKind.gemm,
    xType: rows.type,
    yType: rows.type,
    m: rows.count,
    n: weight.outFeatures,
    k: rows.k,
    flags,
    activation: rows.activation,
    x: rows.x,
    y,
    tiles,
    colSum,
    scale,
    bias,
    xq: rows.xq,
    xScale: rows.xScale,
    u: rows.u,
    outliers: rows.outliers,
  }
}

/** Starts with the op before it: they do not need each other. */
export const TOGETHER = OpFlag.together

/** y = x W^T (+ bias) in TypeScript. */
export function linearScript(x: ActivationArray, weight: Weight, y: ActivationArray): ScriptOp {
  const { tiles, scale, bias, inFeatures, outFeatures, outliers } = weight
  const args: ArgsOf<LinearTask> = {
    x,
    y,
    tiles,
    scale,
    bias,
    inFeatures,
    outFeatures,
    outliers,
  }
  return { module: linearModule, run: linearShare, args }
}
