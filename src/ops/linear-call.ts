import type { Pool } from '../pool/pool.js'
import { type NativeOp, OpKind, type Program, type ScriptOp } from '../pool/program.js'
import { floatShare, type LinearTask, linearModule } from '../reference/linear.js'
import { type Activations, Input, Result } from './activations.js'
import { linearScript, multiplyOp, quantizeOps, rowsOf } from './linear-program.js'
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

  native(): NativeOp[] {
    const ops: NativeOp[] = []
    const source = rowsOf(this.pool, this.input, this.weight)
    const rows = quantizeOps(this.pool, this.input.memory, ops, source)
    ops.push(multiplyOp(rows, this.weight, this.pool.addressOf(this.result.data)))
    return ops
  }

  script(): ScriptOp[] {
    return [linearScript(this.input.data, this.weight, this.result.data)]
  }

  release(): void {
    this.input.memory.release()
  }
}

/** y[m, n] = (sum_k x[m, k] * float(wq[n, k])) * wScale[n] (+ bias[n]), activations as they are. */
export class FloatCall extends LinearCall {
  override native(): NativeOp[] {
    const { inFeatures: k, outFeatures: n, addresses } = this.weight
    const { rows: m, nativeType: xType } = this.input
    const x = this.pool.addressOf(this.input.data)
    const y = this.pool.addressOf(this.result.data)
    return [{ kind: OpKind.float, xType, yType: xType, m, n, k, x, y, ...addresses }]
  }

  override script(): ScriptOp[] {
    const [op] = super.script()
    return [{ module: linearModule, run: floatShare, args: op.args as LinearTask }]
  }
}
