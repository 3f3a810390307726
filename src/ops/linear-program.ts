import { OpFlags, OpKind } from '../native/layout.js'
import type { LinearOp, Op, QuantizeOp, Rows } from '../native/op.js'
import type { CallMemory } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import type { Input } from './activations.js'
import type { Weight } from './weight.js'

/*
 * The ops that Linears are made of. One row is one op, GEMV, in which every worker quantises the row for
 * itself. More rows are two: quantise all rows, then GEMM; the quantised rows serve any number of weights.
 */

/** The rows of a call's input, for a weight. */
export function rowsOf(input: Input, { inFeatures: k, outliers }: Weight): Rows {
  const { data: x, type } = input
  return { x, type, u: null, activation: 'none', k, outliers, xq: null, xScale: null }
}

// ops are spelt out, for to spread rows into them takes as long as a small call

/** Pushes what makes rows ready to be multiplied, unless it is one, which GEMV quantises. */
export function quantizeOps(
  pool: Pool,
  memory: CallMemory,
  ops: Op[],
  rows: Rows,
  m: number,
  flags = 0,
): Rows {
  if (m === 1 && flags === 0) return rows
  const bytes = m * pool.rowStride(rows.k)
  const xq = memory.acquire(bytes + m * 4)
  const op: QuantizeOp = {
    kind: OpKind.quantize,
    flags,
    m,
    x: rows.x,
    type: rows.type,
    u: rows.u,
    activation: rows.activation,
    k: rows.k,
    outliers: rows.outliers,
    xq,
    xScale: new Float32Array(xq.buffer, xq.byteOffset + bytes, m),
  }
  ops.push(op)
  return op
}

/** y = rows W^T (+ bias), y float32 or bfloat16 like the rows. */
export function multiplyOp(
  rows: Rows,
  m: number,
  weight: Weight,
  y: LinearOp['y'],
  flags = 0,
): LinearOp {
  return {
    kind: m === 1 ? OpKind.gemv : OpKind.gemm,
    flags,
    m,
    x: rows.x,
    type: rows.type,
    u: rows.u,
    activation: rows.activation,
    k: rows.k,
    outliers: rows.outliers,
    xq: rows.xq,
    xScale: rows.xScale,
    weight,
    y,
    yType: rows.type,
  }
}

/** Starts with the op before it: they do not need each other. */
export const TOGETHER = OpFlags.together
