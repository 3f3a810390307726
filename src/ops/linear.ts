import {
  ArgumentError,
  checkCallback,
  checkInteger,
  checkSignal,
  DisposedError,
  describe,
} from '../errors.js'
import { MAX_K } from '../native/layout.js'
import { checkOptions, type OptionNames } from '../options.js'
import { checkPool, type Pool } from '../pool/pool.js'
import { checkInt4, type Int4Weight } from '../reference/int4.js'
import { checkOutliers } from '../reference/quantize.js'
import { newArray, readFloats, type Tensor } from '../tensor.js'
import { type ViewClass, viewOf } from '../views.js'
import {
  type Activations,
  type ActivationType,
  type ForwardOptions,
  type ForwardSyncOptions,
  forwardOptions,
  forwardSyncOptions,
} from './activations.js'
import { Coalescer } from './coalescer.js'
import { FloatCall, LinearCall } from './linear-call.js'
import {
  checkWeightLength,
  copyChannels,
  type Int4Source,
  type LinearOptions,
  Weight,
  type WeightArrays,
  type WeightSource,
  type WeightType,
  wholeInt4,
  wholeWeight,
} from './weight.js'

/*
 * y[M, N] = (float(xq[M, K] . wq[N, K]) * xScale[M]) * wScale[N] (+ bias[N]), xq = quantise(x) row by row
 */

/**
 * The largest K with (K - c) * 127 * 128 + c * 127 * 128 * 128 < 2^31 for c outliers, so that int32 sums cannot
 * overflow. With up to eight outliers the room in the kernels bounds K.
 */
function maxInFeatures(outliers: number): number {
  return Math.min(MAX_K, 132104 - 127 * outliers)
}

const linearOptions: OptionNames<LinearOptions> = {
  inFeatures: true,
  outFeatures: true,
  bias: true,
  outliers: true,
  signal: checkSignal,
  onProgress: checkCallback,
}

const int4Names: OptionNames<Int4Weight> = { nibbles: true, multipliers: true }

/** How activations are multiplied: quantised to int8, or as float32 with the dequantised weight. */
export type Precision = 'int8' | 'float32'

/** Options of `Linear.forwardSync`, which cannot be aborted. */
export interface LinearForwardSyncOptions<Out> extends ForwardSyncOptions<Out> {
  /**
   * `float32` does not quantise the activations: for accuracy checks, and for callers whose activations must stay
   * float. Much slower for many rows. Default `int8`.
   */
  precision?: Precision | undefined
}

/** Options of `Linear.forward`. */
export interface LinearForwardOptions<Out>
  extends LinearForwardSyncOptions<Out>,
    ForwardOptions<Out> {}

const linearForwardSyncOptions: OptionNames<LinearForwardSyncOptions<unknown>> = {
  ...forwardSyncOptions,
  precision: true,
}

const linearForwardOptions: OptionNames<LinearForwardOptions<unknown>> = {
  ...forwardOptions,
  precision: true,
}

/**
 * `nn.Linear` with int8 weights, run by all workers of a pool. Activations are quantised row by row. Results have the
 * same bits on every machine, at every thread count, alone or in a batch. Weights may be stored in four bits each: then
 * they stand for int8 ones, and results are those of these.
 */
export class Linear {
  readonly inFeatures: number
  readonly outFeatures: number
  /** The most elements of a row of activations that are kept exact. */
  readonly outliers: number
  /** How its weights are stored. */
  readonly weightType: WeightType
  /** @internal */
  readonly pool: Pool
  readonly #coalescer: Coalescer
  #weight: Weight | undefined

  private constructor(pool: Pool, weight: Weight) {
    this.inFeatures = weight.inFeatures
    this.outFeatures = weight.outFeatures
    this.outliers = weight.outliers
    this.weightType = weight.type
    this.pool = pool
    this.#coalescer = new Coalescer(pool)
    this.#weight = weight
    Object.freeze(this)
  }

  /**
   * From int8 weights.
   *
   * @param weight int8 [N * K], row-major as in `nn.Linear`; not copied: it must not change until the call settles,
   *   and is not referenced afterwards
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
    const source = viewAt('weight', Int8Array, weight, 'an Int8Array')
    checkWeightLength(source, checked)
    const scales = readScales(scale, checked)
    const packed = new Weight(pool, checked)
    packed.scale.set(scales)
    await packed.pack(pool, wholeWeight(source, checked.inFeatures), checked)
    return new Linear(pool, packed)
  }

  /**
   * From weights of four bits, which take little more than half the memory: w[n, k] = (u[n, k] - 8) * m[n, k / 32], u a
   * nibble, m an integer for each output channel and 32 k. Results are bit for bit those of {@link Linear.fromInt8} with w.
   *
   * @param weight u and m; not copied, as for {@link Linear.fromInt8}
   * @param scale float32 [N], or one number for all channels; finite
   * @throws ArgumentError if an argument does not fit, a multiplier is 0, or a weight is not in [-128, 127]; before any
   *   work starts, or if a buffer is detached or shrinks meanwhile; OutOfMemoryError
   */
  static async fromInt4(
    pool: Pool,
    weight: Int4Weight,
    scale: Float32Array | number,
    options: LinearOptions,
  ): Promise<Linear> {
    checkPool(pool)
    const checked = checkLinearOptions(options)
    const { nibbles, multipliers } = checkOptions(weight, int4Names, 'weight')
    const source = {
      nibbles: viewAt('nibbles', Uint8Array, nibbles, 'a Uint8Array'),
      multipliers: viewAt('multipliers', Int8Array, multipliers, 'an Int8Array'),
    }
    checkInt4(source, checked)
    const scales = readScales(scale, checked)
    return await Linear.fromInt4Source(pool, wholeInt4(source, checked), scales, checked)
  }

  /** @internal From weights of four bits that are read some channels at a time, and are valid; see {@link checkInt4}. */
  static async fromInt4Source(
    pool: Pool,
    source: Int4Source,
    scale: Float32Array,
    options: LinearOptions,
  ): Promise<Linear> {
    const checked = checkLinearOptions(options)
    const packed = new Weight(pool, checked, 'int4')
    packed.scale.set(copyChannels('scale', scale, checked))
    await packed.packInt4(pool, source, checked)
    return new Linear(pool, packed)
  }

  /**
   * From float weights, quantised symmetrically per output channel as {@link quantizeWeight} does.
   *
   * @param weight float32 [N * K], or a float32 or bfloat16 tensor [N, K]; as for {@link Linear.fromInt8}
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
   * @internal From weights that are read some channels at a time, so that only packed ones are in memory.
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

  /** @internal From weights that are packed already, referenced without a copy. */
  static fromPacked(
    pool: Pool,
    options: LinearOptions,
    type: WeightType,
    arrays: WeightArrays,
  ): Linear {
    return new Linear(pool, new Weight(pool, checkLinearOptions(options), type, arrays))
  }

  /**
   * The packed weights, in shared memory, read-only: int8 [ceil(N/64)][ceil(K/4)][64][4], "64c4"; of four bits, the bytes
   * of "64c8", [ceil(N/64)][ceil(K/32)][1088].
   */
  get tiles(): Int8Array {
    return this.weight.tiles
  }

  /** The weights' scales: float32 [N], in shared memory, read-only. */
  get scale(): Float32Array {
    return this.weight.scale.subarray(0, this.outFeatures)
  }

  /**
   * Copies the weights of output channels [first, last): int8 [last - first, K], row-major, whatever they are stored as.
   *
   * @throws ArgumentError unless 0 <= first <= last <= outFeatures; DisposedError
   */
  unpack(first = 0, last: number = this.outFeatures): Int8Array {
    checkInteger('last', last, 0, this.outFeatures)
    checkInteger('first', first, 0, last)
    return this.weight.unpack(first, last)
  }

  /**
   * Copies weights of four bits as {@link Linear.fromInt4} takes them.
   *
   * @throws ArgumentError as `unpack` does, and where weights have eight bits; DisposedError
   */
  unpackInt4(first = 0, last: number = this.outFeatures): Int4Weight {
    if (this.weightType !== 'int4') {
      throw new ArgumentError('this', 'a Linear with int4 weights', this.weightType)
    }
    checkInteger('last', last, 0, this.outFeatures)
    checkInteger('first', first, 0, last)
    return this.weight.unpackInt4(first, last)
  }

  /**
   * y = x W^T (+ bias). The result has the input's kind and type, and lies in shared memory if the
   * input does. An input in shared memory is not copied and must not change before the call settles. Any
   * other is copied at once, and can be changed as soon as the call has returned. Calls of a few rows that wait for
   * earlier ones run together.
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
   * The same, but blocks the calling thread, which runs units of work in the place of the pool's last worker. For
   * command-line programs, and for callers that are worker threads themselves: it blocks a server's event loop.
   */
  forwardSync(x: Float32Array, options?: LinearForwardSyncOptions<Float32Array>): Float32Array
  forwardSync<T extends ActivationType>(
    x: Tensor<T>,
    options?: LinearForwardSyncOptions<Tensor<T>>,
  ): Tensor<T>
  forwardSync(x: Activations, options: LinearForwardSyncOptions<Activations> = {}): Activations {
    const call = this.#call(x, checkOptions(options, linearForwardSyncOptions))
    this.pool.runSync(call)
    return call.result.finish()
  }

  /** Releases the weights. Calls in flight still finish; later ones throw DisposedError. */
  dispose(): void {
    this.#weight = undefined
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    const bias = this.#weight?.bias !== undefined
    const outliers = this.outliers > 0 ? `, outliers=${this.outliers}` : ''
    return `Linear(in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${bias}, dtype=${this.weightType}${outliers})`
  }

  /** @internal The packed weights; throws a DisposedError once they are released. */
  get weight(): Weight {
    if (this.#weight === undefined) throw new DisposedError('the Linear')
    return this.#weight
  }

  #call(x: Activations, options: LinearForwardSyncOptions<Activations>): LinearCall {
    const { precision = 'int8', out } = options
    if (precision === 'int8') return new LinearCall(this.pool, this.weight, x, out)
    if (precision === 'float32') return new FloatCall(this.pool, this.weight, x, out)
    throw new ArgumentError('precision', "'int8' or 'float32'", describe(precision))
  }
}

// ---- checks -------------------------------------------------------------------------------------

/** Checks the options; returns them with a copy of the bias. */
function checkLinearOptions(options: LinearOptions): LinearOptions {
  const checked = checkOptions(options, linearOptions)
  const { inFeatures, outFeatures, bias, outliers = 0 } = checked
  checkOutliers(outliers)
  checkInteger('inFeatures', inFeatures, 1, maxInFeatures(outliers))
  checkInteger('outFeatures', outFeatures, 1, 2 ** 31 - 1)
  return { ...checked, bias: bias === undefined ? undefined : copyChannels('bias', bias, checked) }
}

/** float32 [N] */
function readScales(scale: Float32Array | number, options: LinearOptions): Float32Array {
  if (typeof scale !== 'number') return copyChannels('scale', scale, options)
  if (Number.isFinite(scale)) return newArray(Float32Array, options.outFeatures).fill(scale)
  throw new ArgumentError('scale', 'a finite number', `${scale}`)
}

function viewAt<View>(
  argument: string,
  View: ViewClass<View>,
  array: unknown,
  expected: string,
): View {
  const view = viewOf(View, array)
  if (view === undefined) throw new ArgumentError(argument, expected, describe(array))
  return view
}
