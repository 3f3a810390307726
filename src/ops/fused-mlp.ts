import type { Op } from '../native/op.js'
import { checkOptions, type OptionNames } from '../options.js'
import { viewAs } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import { type Activation, checkActivation } from '../reference/gate.js'
import type { ActivationArray, Tensor } from '../tensor.js'
import {
  type Activations,
  type ActivationType,
  type ForwardOptions,
  type ForwardSyncOptions,
  forwardOptions,
  forwardSyncOptions,
  Input,
  Result,
} from './activations.js'
import type { Linear } from './linear.js'
import { checkFit, checkTogether, typesOf } from './linear-group.js'
import { multiplyOp, quantizeOps, rowsOf, TOGETHER } from './linear-program.js'

export interface FusedMlpOptions {
  /** The activation of the gate: `silu` (SwiGLU, the default), `gelu` (GeGLU) or `relu2`. */
  activation?: Activation | undefined
}

const mlpOptions: OptionNames<FusedMlpOptions> = { activation: true }

/**
 * y = down(activation(gate(x)) * up(x)), the MLP of a gated transformer, in one parallel region: x is quantised once,
 * gate and up run together, and the input of down never leaves the workers. The result has the bits of the three
 * Linears and {@link applyGate} one after the other.
 */
export class FusedMlp {
  readonly gate: Linear
  readonly up: Linear
  readonly down: Linear
  readonly activation: Activation

  /**
   * @param gate [I, K]
   * @param up [I, K]
   * @param down [N, I]; all three are of one pool, and the MLP does not own them
   * @throws ArgumentError if they do not fit together
   */
  constructor(gate: Linear, up: Linear, down: Linear, options: FusedMlpOptions = {}) {
    const { activation = 'silu' } = checkOptions(options, mlpOptions)
    checkTogether(Object.entries({ gate, up, down }))
    checkFit('up', 'inFeatures', up.inFeatures, gate.inFeatures)
    checkFit('up', 'outFeatures', up.outFeatures, gate.outFeatures)
    checkFit('up', 'outliers', up.outliers, gate.outliers)
    checkFit('down', 'inFeatures', down.inFeatures, gate.outFeatures)
    checkActivation(activation)
    this.gate = gate
    this.up = up
    this.down = down
    this.activation = activation
    Object.freeze(this)
  }

  /**
   * @param x float32 [M * K], or a float32 or bfloat16 tensor [..., K]
   * @returns float32 [M * N], or a tensor [..., N]; see `Linear.forward`
   */
  forward(x: Float32Array, options?: ForwardOptions<Float32Array>): Promise<Float32Array>
  forward<T extends ActivationType>(
    x: Tensor<T>,
    options?: ForwardOptions<Tensor<T>>,
  ): Promise<Tensor<T>>
  async forward(x: Activations, options: ForwardOptions<Activations> = {}): Promise<Activations> {
    const { signal, out } = checkOptions(options, forwardOptions)
    const call = new MlpCall(this, x, out)
    await this.gate.pool.run(call, signal)
    return call.result.finish()
  }

  /** The same, blocking; see `Linear.forwardSync`. */
  forwardSync(x: Float32Array, options?: ForwardSyncOptions<Float32Array>): Float32Array
  forwardSync<T extends ActivationType>(
    x: Tensor<T>,
    options?: ForwardSyncOptions<Tensor<T>>,
  ): Tensor<T>
  forwardSync(x: Activations, options: ForwardSyncOptions<Activations> = {}): Activations {
    const { out } = checkOptions(options, forwardSyncOptions)
    const call = new MlpCall(this, x, out)
    this.gate.pool.runSync(call)
    return call.result.finish()
  }

  toString(): string {
    const { gate, up, down, activation } = this
    const sizes = `${gate.inFeatures}, ${gate.outFeatures}, ${down.outFeatures}`
    return `FusedMlp([${sizes}], activation=${activation}, dtype=${typesOf([gate, up, down])})`
  }
}

class MlpCall implements Program {
  readonly result: Result
  readonly #pool: Pool
  readonly #input: Input
  readonly #activation: Activation
  readonly #gate: Linear['weight']
  readonly #up: Linear['weight']
  readonly #down: Linear['weight']

  constructor({ gate, up, down, activation }: FusedMlp, x: Activations, out?: Activations) {
    this.#pool = gate.pool
    this.#activation = activation
    this.#gate = gate.weight
    this.#up = up.weight
    this.#down = down.weight
    this.#input = new Input(this.#pool, x, gate.inFeatures)
    this.result = new Result(this.#pool, this.#input, down.outFeatures, out)
  }

  ops(): Op[] {
    const { rows: m, memory } = this.#input
    const ops: Op[] = []
    const rows = quantizeOps(this.#pool, memory, ops, rowsOf(this.#input, this.#gate), m)
    const [x, u] = [this.#hidden(), this.#hidden()]
    ops.push(multiplyOp(rows, m, this.#gate, x), multiplyOp(rows, m, this.#up, u, TOGETHER))
    const source = { ...rowsOf(this.#input, this.#down), x, u, activation: this.#activation }
    const gated = quantizeOps(this.#pool, memory, ops, source, m)
    ops.push(multiplyOp(gated, m, this.#down, this.result.data))
    return ops
  }

  release(): void {
    this.#input.memory.release()
  }

  /** Acquires memory for [M, I] of the input's type. */
  #hidden(): ActivationArray {
    const { rows, type, memory } = this.#input
    const size = rows * this.#gate.outFeatures
    return viewAs(type, memory.acquire(size * (type === 'float32' ? 4 : 2)), size)
  }
}
