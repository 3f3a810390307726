import { checkInteger, DisposedError } from '../errors.js'
import { OpKind } from '../native/layout.js'
import type { Op } from '../native/op.js'
import { type AbortOptions, abortOptions, checkOptions, type OptionNames } from '../options.js'
import { checkPool, type Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import type { WeightShape } from '../reference/quantize.js'
import { readFloats, type Tensor } from '../tensor.js'
import { Input, Result } from './activations.js'
import { DenseWeight } from './dense-weight.js'
import { checkWeightLength, copyChannels } from './weight.js'

export interface FloatLinearOptions extends WeightShape {
  /** float32 [N], finite. */
  bias?: Float32Array | undefined
}

const floatLinearOptions: OptionNames<FloatLinearOptions> = {
  inFeatures: true,
  outFeatures: true,
  bias: true,
}

/**
 * `nn.Linear` with float weights, float32 or bfloat16, multiplied in float32 by all workers of a pool: for layers that
 * must not be quantised. Results have the same bits on every machine and at every thread count.
 */
export class FloatLinear {
  readonly inFeatures: number
  readonly outFeatures: number
  /** @internal */
  readonly pool: Pool
  #weight: DenseWeight | undefined

  private constructor(pool: Pool, weight: DenseWeight) {
    this.pool = pool
    this.inFeatures = weight.inFeatures
    this.outFeatures = weight.outFeatures
    this.#weight = weight
    Object.freeze(this)
  }

  /**
   * From float weights, which are not quantised.
   *
   * @param weight float32 [N * K], or a float32 or bfloat16 tensor [N, K]; copied at once
   * @throws ArgumentError if an argument does not fit, OutOfMemoryError
   */
  static async fromFloat(
    pool: Pool,
    weight: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
    options: FloatLinearOptions,
  ): Promise<FloatLinear> {
    checkPool(pool)
    const { inFeatures, outFeatures, bias } = checkOptions(options, floatLinearOptions)
    checkInteger('inFeatures', inFeatures, 1, 2 ** 31 - 1)
    checkInteger('outFeatures', outFeatures, 1, 2 ** 31 - 1)
    const shape = { inFeatures, outFeatures }
    const source = readFloats('weight', weight)
    checkWeightLength(source, shape)
    const biases = bias === undefined ? undefined : copyChannels('bias', bias, shape)
    const type = source instanceof Float32Array ? 'float32' : 'bfloat16'
    const dense = new DenseWeight(pool, type, outFeatures, inFeatures, biases)
    dense.set(0, source)
    return new FloatLinear(pool, dense)
  }

  /** @internal @param weight referenced without a copy */
  static fromDense(pool: Pool, weight: DenseWeight): FloatLinear {
    return new FloatLinear(pool, weight)
  }

  /**
   * y = x W^T (+ bias). Takes its input as `Linear.forward` does.
   *
   * @param x float32 [M * K]
   * @returns float32 [M * N]
   * @throws ArgumentError, DisposedError, PoolClosedError, QueueFullError, WorkerDiedError, or the
   *   signal's reason
   */
  async forward(x: Float32Array, options: AbortOptions = {}): Promise<Float32Array> {
    const { signal } = checkOptions(options, abortOptions)
    const call = new FloatLinearCall(this.pool, this.weight, x)
    await this.pool.run(call, signal)
    return call.result.finish() as Float32Array
  }

  /** Releases the weight. Calls in flight still finish; later ones throw DisposedError. */
  dispose(): void {
    this.#weight = undefined
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    const { inFeatures, outFeatures } = this
    const type = this.#weight?.type
    const bias = this.#weight?.bias !== undefined
    return `Linear(in_features=${inFeatures}, out_features=${outFeatures}, bias=${bias}, dtype=${type})`
  }

  /** @internal The weight; throws a DisposedError once it is released. */
  get weight(): DenseWeight {
    if (this.#weight === undefined) throw new DisposedError('the Linear')
    return this.#weight
  }
}

/** One forward call. */
class FloatLinearCall implements Program {
  readonly result: Result
  readonly #weight: DenseWeight
  readonly #input: Input

  constructor(pool: Pool, weight: DenseWeight, x: Float32Array) {
    this.#weight = weight
    this.#input = new Input(pool, x, weight.inFeatures)
    this.result = new Result(pool, this.#input, weight.outFeatures)
  }

  ops(): Op[] {
    const [x, y] = [this.#input.data as Float32Array, this.result.data as Float32Array]
    return [{ kind: OpKind.dense, m: this.#input.rows, x, weight: this.#weight, y }]
  }

  release(): void {
    this.#input.memory.release()
  }
}
