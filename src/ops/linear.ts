import { ArgumentError, checkInteger, DisposedError, describe } from '../errors.js'
import type { Native } from '../native.js'
import { isShared, overlaps, sharedArray, viewAs } from '../pool/memory.js'
import { Pool } from '../pool/pool.js'
import { type NativeOp, NativeType, OpKind, type Program, type ScriptOp } from '../pool/program.js'
import { arrayOf, Tensor } from '../tensor.js'
import { type LinearTask, linearShare } from './oracle.js'
import { type PackOptions, Weight, type WeightArray } from './weight.js'

/*
 * y[M, N] = (float(xq[M, K] . wq[N, K]) * xScale[M]) * wScale[N] (+ bias[N]), xq = quantise(x) row by row
 *
 * One row is one op, GEMV, in which every worker quantises the row for itself. More rows are two:
 * quantise all rows, then GEMM.
 */

/** 131072 * 127 * 128 < 2^31: up to here int32 sums cannot overflow. */
export const MAX_IN_FEATURES = 131072

/** Activation types that a Linear takes and gives. */
export type ActivationType = 'float32' | 'bfloat16'

export interface LinearOptions extends PackOptions {
  /** K: length of an input row. */
  inFeatures: number
  /** N: length of an output row. */
  outFeatures: number
  /** float32 [N], finite. */
  bias?: Float32Array | undefined
}

export interface ForwardOptions<Out> {
  /** Rejects the call when aborted; workers skip what they have not begun. */
  signal?: AbortSignal | undefined
  /**
   * Where to write the result instead of into new memory; of the input's kind and the result's size.
   * In shared memory (see {@link Pool.tensor}) workers write it directly.
   */
  out?: Out | undefined
}

/**
 * `nn.Linear` with int8 weights, run by all workers of a pool. Activations are quantised row by row,
 * results have the same bits on every machine, at every thread count, alone or in a batch.
 */
export class Linear {
  readonly inFeatures: number
  readonly outFeatures: number
  readonly #pool: Pool
  #weight: Weight | undefined

  private constructor(pool: Pool, weight: Weight) {
    this.inFeatures = weight.inFeatures
    this.outFeatures = weight.outFeatures
    this.#pool = pool
    this.#weight = weight
  }

  /**
   * From int8 weights.
   *
   * @param weight int8 [N * K], row-major as `nn.Linear` has it; may be released afterwards
   * @param scale float32 [N], or one number for all channels; finite
   * @throws ArgumentError if an argument does not fit, before any work starts
   */
  static async fromInt8(
    pool: Pool,
    weight: Int8Array,
    scale: Float32Array | number,
    options: LinearOptions,
  ): Promise<Linear> {
    checkPool(pool)
    checkOptions(options)
    const { inFeatures, outFeatures, bias } = options
    if (!(weight instanceof Int8Array)) {
      throw new ArgumentError('weight', 'an Int8Array', describe(weight))
    }
    checkWeightLength(weight, options)
    if (typeof scale === 'number') {
      if (!Number.isFinite(scale)) throw new ArgumentError('scale', 'a finite number', `${scale}`)
    } else {
      checkChannels('scale', scale, outFeatures)
    }
    const packed = new Weight(pool.native, inFeatures, outFeatures, bias)
    if (typeof scale === 'number') packed.scale.fill(scale, 0, outFeatures)
    else packed.scale.set(scale)
    await packed.pack(pool, weight, options)
    return new Linear(pool, packed)
  }

  /**
   * From float weights, quantised symmetrically per output channel as {@link quantizeWeight} does.
   *
   * @param weight float32 [N * K], or a float32 or bfloat16 tensor [N, K]; may be released afterwards
   * @throws ArgumentError if an argument does not fit, or a weight is NaN or infinite
   */
  static async fromFloat(
    pool: Pool,
    weight: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
    options: LinearOptions,
  ): Promise<Linear> {
    checkPool(pool)
    checkOptions(options)
    const source: unknown = weight instanceof Tensor ? weight.data : weight
    const isFloat = source instanceof Float32Array
    if (!isFloat && !(weight instanceof Tensor && source instanceof Uint16Array)) {
      const got = weight instanceof Tensor ? String(weight) : describe(weight)
      throw new ArgumentError('weight', 'a Float32Array or a float32 or bfloat16 Tensor', got)
    }
    checkWeightLength(source, options)
    const packed = new Weight(pool.native, options.inFeatures, options.outFeatures, options.bias)
    await packed.pack(pool, source, options)
    return new Linear(pool, packed)
  }

  /** The packed weights: int8 [ceil(N/64)][ceil(K/4)][64][4], in shared memory, read-only. */
  get tiles(): Int8Array {
    return this.#use().tiles
  }

  /** The weights' scales: float32 [N], in shared memory, read-only. */
  get scale(): Float32Array {
    return this.#use().scale.subarray(0, this.outFeatures)
  }

  /**
   * y = x W^T (+ bias). The result has the input's kind and type, and lies in shared memory if the
   * input does; an input in shared memory is not copied and must not change before the call settles.
   *
   * @param x float32 [M * K], or a float32 or bfloat16 tensor [..., K]
   * @returns float32 [M * N], or a tensor [..., N] of the same type
   * @throws ArgumentError, DisposedError, PoolClosedError, QueueFullError, WorkerDiedError, or the
   *   signal's reason
   */
  forward(x: Float32Array, options?: ForwardOptions<Float32Array>): Promise<Float32Array>
  forward<T extends ActivationType>(
    x: Tensor<T>,
    options?: ForwardOptions<Tensor<T>>,
  ): Promise<Tensor<T>>
  async forward(x: Activations, options: ForwardOptions<Activations> = {}): Promise<Activations> {
    const call = new LinearCall(this.#pool, this.#use(), x, options.out)
    if (call.rows > 0) await this.#pool.run(call, options.signal)
    return call.result()
  }

  /**
   * The same, blocking the calling thread, which works in the place of the pool's last worker. For
   * command-line programs and for callers that are themselves worker threads; a server's event loop
   * stands still meanwhile.
   */
  forwardSync(x: Float32Array, options?: Omit<ForwardOptions<Float32Array>, 'signal'>): Float32Array
  forwardSync<T extends ActivationType>(
    x: Tensor<T>,
    options?: Omit<ForwardOptions<Tensor<T>>, 'signal'>,
  ): Tensor<T>
  forwardSync(x: Activations, options: { out?: Activations | undefined } = {}): Activations {
    const call = new LinearCall(this.#pool, this.#use(), x, options.out)
    if (call.rows > 0) this.#pool.runSync(call)
    return call.result()
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
    return `Linear(in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${bias}, dtype=int8)`
  }

  #use(): Weight {
    if (this.#weight === undefined) throw new DisposedError('the Linear')
    return this.#weight
  }
}

type Activations = Float32Array | Tensor<ActivationType>
type ActivationArray = Float32Array | Uint16Array

/** One forward call: its checked input, where its result goes, and its program. */
class LinearCall implements Program {
  readonly rows: number
  readonly #pool: Pool
  readonly #weight: Weight
  readonly #type: ActivationType
  readonly #x: ActivationArray
  readonly #y: ActivationArray
  readonly #staged: Uint8Array<SharedArrayBuffer>[] = []
  readonly #finish: (y: ActivationArray) => Activations

  constructor(pool: Pool, weight: Weight, x: Activations, out: Activations | undefined) {
    const data = checkInput(x, weight.inFeatures)
    this.rows = data.length / weight.inFeatures
    this.#pool = pool
    this.#weight = weight
    this.#type = data instanceof Float32Array ? 'float32' : 'bfloat16'
    const size = this.rows * weight.outFeatures
    const target = out === undefined ? undefined : checkOut(out, x, size)
    this.#y = target && isShared(target) ? target : this.#newResult(size, isShared(data))
    this.#x = isShared(data) ? data : this.#stage(data)
    this.#finish = (y) => {
      if (target !== undefined) {
        if (target !== y) (target as Float32Array).set(y as Float32Array)
        return out as Activations
      }
      // without a native library the result lay in shared memory for the workers' sake
      if (isShared(y) && !isShared(data)) y = y.slice()
      if (!(x instanceof Tensor)) return y as Float32Array
      return new Tensor(x.type, y, [...x.dims.slice(0, -1), weight.outFeatures])
    }
  }

  result(): Activations {
    return this.#finish(this.#y)
  }

  native(): NativeOp[] {
    const native = this.#pool.native as Native
    const { inFeatures: k, outFeatures: n, addresses } = this.#weight
    const type = NativeType[this.#type]
    const x = native.address(this.#x)
    const y = native.address(this.#y)
    if (this.rows === 1)
      return [{ kind: OpKind.gemv, xType: type, yType: type, n, k, x, y, ...addresses }]
    const m = this.rows
    const stride = native.rowStride(k)
    const xq = native.address(this.#take(m * (stride + 4)))
    const xScale = xq + m * stride
    return [
      { kind: OpKind.quantize, xType: type, m, k, x, xq, xScale },
      { kind: OpKind.gemm, yType: type, m, n, k, y, xq, xScale, ...addresses },
    ]
  }

  script(): ScriptOp[] {
    const { tiles, scale, bias, inFeatures, outFeatures } = this.#weight
    const args: Omit<LinearTask, 'part' | 'parts'> = {
      x: this.#x,
      y: this.#y,
      tiles,
      scale,
      bias,
      inFeatures,
      outFeatures,
    }
    return [{ module: new URL('./oracle.js', import.meta.url).href, run: linearShare, args }]
  }

  release(): void {
    for (const block of this.#staged.splice(0)) this.#pool.staging.give(block)
  }

  #take(bytes: number): Uint8Array<SharedArrayBuffer> {
    const block = this.#pool.staging.take(bytes)
    this.#staged.push(block)
    return block
  }

  /** Workers write through an address, so memory of this thread serves; TypeScript ones need it shared. */
  #newResult(length: number, shared: boolean): ActivationArray {
    if (shared || this.#pool.native === null) return sharedArray(this.#type, length)
    return new arrayOf[this.#type](new ArrayBuffer(length * arrayOf[this.#type].BYTES_PER_ELEMENT))
  }

  /** A copy that workers can read whatever the caller does with the original. */
  #stage(data: ActivationArray): ActivationArray {
    const copy = viewAs(this.#type, this.#take(data.byteLength), data.length)
    ;(copy as Float32Array).set(data as Float32Array)
    return copy
  }
}

// ---- checks -------------------------------------------------------------------------------------

function checkPool(pool: unknown): void {
  if (!(pool instanceof Pool)) throw new ArgumentError('pool', 'a Pool', describe(pool))
}

function checkOptions({ inFeatures, outFeatures, bias }: LinearOptions): void {
  checkInteger('inFeatures', inFeatures, 1, MAX_IN_FEATURES)
  checkInteger('outFeatures', outFeatures, 1, 2 ** 31 - 1)
  if (bias !== undefined) checkChannels('bias', bias, outFeatures)
}

function checkChannels(argument: string, values: unknown, outFeatures: number): void {
  if (!(values instanceof Float32Array) || values.length !== outFeatures) {
    throw new ArgumentError(argument, `a Float32Array of ${outFeatures} elements`, describe(values))
  }
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new ArgumentError(argument, 'finite values', `${values[bad]} at index ${bad}`)
}

function checkWeightLength(
  weight: WeightArray,
  { inFeatures, outFeatures }: LinearOptions,
): asserts weight {
  if (weight.length !== inFeatures * outFeatures) {
    throw new ArgumentError('weight', `${outFeatures} * ${inFeatures} elements`, describe(weight))
  }
}

/** The elements of x, whole rows of K. */
function checkInput(x: unknown, inFeatures: number): ActivationArray {
  const data = x instanceof Tensor ? x.data : x
  const fits = data instanceof Float32Array || (x instanceof Tensor && data instanceof Uint16Array)
  if (!fits) {
    const got = x instanceof Tensor ? String(x) : describe(x)
    throw new ArgumentError('x', 'a Float32Array or a float32 or bfloat16 Tensor', got)
  }
  const width = x instanceof Tensor ? (x.dims.at(-1) ?? 1) : data.length
  if (x instanceof Tensor ? width !== inFeatures : width % inFeatures !== 0) {
    const expected = x instanceof Tensor ? 'last dimension' : 'length that is a multiple of'
    throw new ArgumentError(
      'x',
      `a ${expected} ${inFeatures}`,
      x instanceof Tensor ? String(x) : describe(x),
    )
  }
  if (data.buffer.byteLength === 0 && x instanceof Tensor && x.dims.every((d) => d > 0)) {
    throw new ArgumentError('x', 'an attached buffer', 'a detached one')
  }
  return data
}

/** The elements of `out`, which must look like the result of x. */
function checkOut(out: unknown, x: Activations, size: number): ActivationArray {
  const data = out instanceof Tensor ? out.data : out
  const input = x instanceof Tensor ? x.data : x
  const sameKind = out instanceof Tensor === x instanceof Tensor
  if (
    !sameKind ||
    !(data instanceof input.constructor) ||
    (data as ActivationArray).length !== size
  ) {
    const kind = x instanceof Tensor ? `a ${x.type} Tensor` : 'a Float32Array'
    const got = out instanceof Tensor ? String(out) : describe(out)
    throw new ArgumentError('out', `${kind} of ${size} elements`, got)
  }
  if (overlaps(data as ActivationArray, input)) {
    throw new ArgumentError('out', 'memory apart from x', 'memory that x lies in')
  }
  return data as ActivationArray
}
