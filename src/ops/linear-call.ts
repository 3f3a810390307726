import { OpKind } from '../native/layout.js'
import type { Op } from '../native/op.js'
import type { Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import { type Activations, Input, Result } from './activations.js'
import { multiplyOp, quantizeOps, rowsOf } from './linear-program.js'
import type { Weight } from './weight.js'

/** One forward call of a Linear. */
export class LinearCall implements Program {
  readonly pool: Pool
  readonly weight: Weight
  readonly input: Input
  readonly result: Result

  constructor(pool: Pool, weight: Weight, x: Activations, out: Activations | undefined) {
    this.pool = pool
    this.weight = weight
    this.input = new Input(pool, x, weight.inFeatures)
    this.result = new Result(pool, this.input, weight.outFeatures, out)
  }

  ops(): Op[] {
    const { rows: m, memory } = this.input
    const ops: Op[] = []
    const rows = quantizeOps(this.pool, memory, ops, rowsOf(this.input, this.weight), m)
    ops.push(multiplyOp(rows, m, this.weight, this.result.data))
    return ops
  }

  release(): void {
    this.input.memory.release()
  }
}

/** y[m, n] = (sum_k x[m, k] * float(wq[n, k])) * wScale[n] (+ bias[n]), activations as they are. */
export class FloatCall extends LinearCall {
  override ops(): Op[] {
    const { input, weight, result } = this
    const op = multiplyOp(rowsOf(input, weight), input.rows, weight, result.data)
    return [{ ...op, kind: OpKind.float }]
  }
}
