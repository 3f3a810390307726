import {
  ArgumentError,
  checkCallback,
  checkInteger,
  checkSignal,
  DisposedError,
  describe,
} from '../errors.js'
import { MAX_K, OpKind } from '../native/layout.js'
import { checkOptions, type OptionNames } from '../options.js'
import { checkPool, type Pool } from '../pool/pool.js'
import type { Op, Program } from '../pool/program.js'
import { readFloats, type Tensor } from '../tensor.js'
import { viewOf } from '../views.js'
import {
  type Activations,
  type ActivationType,
  type ForwardOptions,
  forwardOptions,
  Input,
  Result,
  type Sync,
  syncForwardOptions,
} from './activations.js'
import { Coalescer } from './coalescer.js'
import { multiplyOp, quantizeOps, rowsOf } from './linear-program.js'
import { checkOutliers } from './quantize.js'
import {
  checkWeightLength,
  copyChannels,
  type PackOptions,
  Weight,
  type WeightOptions,
  type WeightSource,
  wholeWeight,
} from './weight.js'

/*
 * y[M, N] = (float(xq[M, K] . wq[N, K]) * xScale[M]) * wScale[N] (+ bias[N]), xq = quantise(x) row by row
 */

/**
 * (K - c) * 127 * 128 + c * 127 * 128 * 128 < 2^31, c outliers: so int32 sums cannot overflow. Without, and with up
 * to eight, K is bounded by what the kernels have room for.
 */
function maxInFeatures(outliers: number): number {
  return Math.min(MAX_K, 132104 - 127 * outliers)
}

export interface LinearOptions extends PackOptions, WeightOptions {}

const linearOptions: OptionNames<LinearOptions> = {
  inFeatures: true,
  outFeatures: true,
  bias: true,
  outliers: true,
  signal: checkSignal,
  onProgress: checkCallback,
}

/** How activations are multiplied: quantised to int8, or as float32 with the dequantised weight. */
export type Precision = 'int8' | 'float32'

export interface LinearForwardOptions<Out> extends ForwardOptions<Out> {
  /**
   * `float32` leaves the activations as they are: for accuracy checks, and for callers who must not
   * quantise them. Much slower for many rows. Default `int8`.
   */
  precision?: Precision | undefined
}

const syncLinearForwardOptions: OptionNames<Sync<LinearForwardOptions<unknown>>> = {
  ...syncForwardOptions,
  precision: true,
}

const linearForwardOptions: OptionNames<LinearForwardOptions<unknown>> = {
  ...forwardOptions,
  precision: true,
}

/**
 * `nn.Linear` with int8 weights, run by all workers of a pool. Activations are quantised row by row,
 * results have the same bits on every machine, at every thread count, alone or in a batch.
 */
export class Linear {
  readonly inFeatures: number
  readonly outFeatures: number
  /** The most elements of a row of activations that are kept exact. */
  readonly outliers: number
  /** @internal */
  readonly pool: Pool
  readonly #coalescer: Coalescer
  #weight: Weight | undefined

  private constructor(pool: Pool, weight: Weight) {
    this.inFeatures = weight.inFeatures
    this.outFeatures = weight.outFeatures
    this.outliers = weight.outliers
    this.pool = pool
    this.#coalescer = new Coalescer(pool)
    this.#weight = weight
    Object.freeze(this)
  }

  /**
   * From int8 weights.
   *
   * @param weight int8 [N * K], row-major as `nn.Linear` has it; not copied, so that it must stay as it is until
   *   the call settles, and may be released afterwards
   * @param scale float32 [N], or one number for all channels; finite
   * @throws ArgumentError if an argument does not fit, before any work starts, or if the weight's buffer is detached
   *   or shrinks meanwhile; OutOfMemoryError
   */
  static async fromInt8(
    pool: Pool,
    weight: Int8Array,
    scale: Float32Array | number,
    options: LinearOptions,
  ): Promise<Linear> {
    checkPool(pool)
    const checked = checkLinearOptions(options)
    const source = viewOf(Int8Array, weight)
    if (source === undefined) throw new ArgumentError('weight', 'an Int8Array', describe(weight))
    checkWeightLength(source, checked)
    const scales = typeof scale === 'number' ? finite(scale) : copyChannels('scale', scale, checked)
    const packed = new Weight(pool, checked)
    if (typeof scales === 'number') packed.scale.fill(scales, 0, checked.outFeatures)
    else packed.scale.set(scales)
    await packed.pack(pool, wholeWeight(source, checked.inFeatures), checked)
    return new Linear(pool, packed)
  }

  /**
   * From float weights, quantised symmetrically per output channel as {@link quantizeWeight} does.
   *
   * @param weight float32 [N * K], or a float32 or bfloat16 tensor [N, K]; as for {@link fromInt8}
   * @throws ArgumentError if an argument does not fit, a weight is NaN or infinite, or its buffer is detached or
   *   shrinks meanwhile; OutOfMemoryError
   */
  static async fromFloat(
    pool: Pool,
    weight: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
    options: LinearOptions,
  ): Promise<Linear> {
    checkPool(pool)
    const checked = checkLinearOptions(options)
    const source = readFloats('weight', weight)
    checkWeightLength(source, checked)
    const packed = new Weight(pool, checked)
    await packed.pack(pool, wholeWeight(source, checked.inFeatures), checked)
    return new Linear(pool, packed)
  }

  /**
   * @internal From weights that come some channels at a time; memory holds the packed ones only.
   *
   * @param scale float32 [N] of int8 weights; float ones are quantised
   */
  static async fromSource(
    pool: Pool,
    source: WeightSource,
    scale: Float32Array | undefined,
    options: LinearOptions,
  ): Promise<Linear> {
    const checked = checkLinearOptions(options)
    const packed = new Weight(pool, checked)
    if (scale !== undefined) packed.scale.set(copyChannels('scale', scale, checked))
    await packed.pack(pool, source, checked)
    return new Linear(pool, packed)
  }

  /** The packed weights: int8 [ceil(N/64)][ceil(K/4)][64][4], in shared memory, read-only. */
  get tiles(): Int8Array {
    return this.weight.tiles
  }

  /** The weights' scales: float32 [N], in shared memory, read-only. */
  get scale(): Float32Array {
    return this.weight.scale.subarray(0, this.outFeatures)
  }

  /**
   * y = x W^T (+ bias). The result has the input's kind and type, and lies in shared memory if the
   * input does. An input in shared memory is not copied and must not change before the call settles; any
   * other is copied at once, so that its memory may be used again as soon as the call has returned.
   * Calls of a few rows that wait for earlier ones are joined into one.
   *
   * @param x float32 [M * K], or a float32 or bfloat16 tensor [..., K]
   * @returns float32 [M * N], or a tensor [..., N] of the same type
   * @throws ArgumentError, DisposedError, PoolClosedError, QueueFullError, WorkerDiedError, or the
   *   signal's reason
   */
  forward(x: Float32Array, options?: LinearForwardOptions<Float32Array>): Promise<Float32Array>
  forward<T extends ActivationType>(
    x: Tensor<T>,
    options?: LinearForwardOptions<Tensor<T>>,
  ): Promise<Tensor<T>>
  async forward(
    x: Activations,
    options: LinearForwardOptions<Activations> = {},
  ): Promise<Activations> {
    const checked = checkOptions(options, linearForwardOptions)
    const call = this.#call(x, checked)
    if (call instanceof FloatCall) await this.pool.run(call, checked.signal)
    else await this.#coalescer.run(call, checked.signal)
    return call.result.finish()
  }

  /**
   * The same, blocking the calling thread, which works in the place of the pool's last worker. For
   * command-line programs and for callers that are themselves worker threads; a server's event loop
   * stands still meanwhile.
   */
  forwardSync(x: Float32Array, options?: Sync<LinearForwardOptions<Float32Array>>): Float32Array
  forwardSync<T extends ActivationType>(
    x: Tensor<T>,
    options?: Sync<LinearForwardOptions<Tensor<T>>>,
  ): Tensor<T>
  forwardSync(x: Activations, options: Sync<LinearForwardOptions<Activations>> = {}): Activations {
    const call = this.#call(x, checkOptions(options, syncLinearForwardOptions))
    this.pool.runSync(call)
    return call.result.finish()
  }

  /** Lets go of the weights. Calls in flight still finish; later ones throw DisposedError. */
  dispose(): void {
    this.#weight = undefined
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    const bias = this.#weight?.bias !== undefined
    const outliers = this.outliers > 0 ? `, outliers=${this.outliers}` : ''
    return `Linear(in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${bias}, dtype=int8${outliers})`
  }

  /** @internal The packed weights; throws a DisposedError if there are none any more. */
  get weight(): Weight {
    if (this.#weight === undefined) throw new DisposedError('the Linear')
    return this.#weight
  }

  #call(x: Activations, options: Sync<LinearForwardOptions<Activations>>): LinearCall {
    const { precision = 'int8', out } = options
    if (precision === 'int8') return new LinearCall(this.pool, this.weight, x, out)
    if (precision === 'float32') return new FloatCall(this.pool, this.weight, x, out)
    throw new ArgumentError('precision', "'int8' or 'float32'", describe(precision))
  }
}

/** One forward call. */
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
class FloatCall extends LinearCall {
  override ops(): Op[] {
    const { input, weight, result } = this
    const op = multiplyOp(rowsOf(input, weight), input.rows, weight, result.data)
    return [{ ...op, kind: OpKind.float }]
  }
}

// ---- checks -------------------------------------------------------------------------------------

/** A copy, with a bias of its own. */
function checkLinearOptions(options: LinearOptions): LinearOptions {
  const checked = checkOptions(options, linearOptions)
  const { inFeatures, outFeatures, bias, outliers = 0 } = checked
  checkOutliers(outliers)
  checkInteger('inFeatures', inFeatures, 1, maxInFeatures(outliers))
  checkInteger('outFeatures', outFeatures, 1, 2 ** 31 - 1)
  return { ...checked, bias: bias === undefined ? undefined : copyChannels('bias', bias, checked) }
}

function finite(scale: number): number {
  if (Number.isFinite(scale)) return scale
  throw new ArgumentError('scale', 'a finite number', `${scale}`)
}
