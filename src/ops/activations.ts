import { ArgumentError, checkSignal, describe } from '../errors.js'
import type { OptionNames } from '../options.js'
import { CallMemory, type Memory, overlaps } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import { type ActivationArray, checkLength, describeTensor, readFloats, Tensor } from '../tensor.js'
import { isShared } from '../views.js'

/*
 * The inputs and results of forward calls: rows of activations, in an array or a tensor. The result is of the same
 * kind as the input.
 */

/** The types of activations that a Linear takes and returns. */
export type ActivationType = 'float32' | 'bfloat16'

/** float32 [M * K], or a tensor [..., K]. */
export type Activations = Float32Array | Tensor<ActivationType>

/** Options of `forwardSync`, which cannot be aborted. */
export interface ForwardSyncOptions<Out> {
  /**
   * Where to write the result instead of into new memory; of the input's kind and the result's size.
   * In shared memory (see `pool.tensor`) workers write it directly.
   */
  out?: Out | undefined
}

/** Options of `forward`. */
export interface ForwardOptions<Out> extends ForwardSyncOptions<Out> {
  /** Rejects the call when aborted; workers skip what they have not begun. */
  signal?: AbortSignal | undefined
}

export const forwardSyncOptions: OptionNames<ForwardSyncOptions<unknown>> = { out: true }

export const forwardOptions: OptionNames<ForwardOptions<unknown>> = {
  ...forwardSyncOptions,
  signal: checkSignal,
}

/** The checked input of a call, in memory that workers see, and the memory for the call's temporary buffers. */
export class Input {
  readonly type: ActivationType
  readonly rows: number
  readonly data: ActivationArray
  readonly memory: CallMemory
  /** A new view of what the caller passed, and its sizes if it is a tensor. */
  readonly given: ActivationArray
  readonly dims: readonly number[] | undefined

  /** @throws ArgumentError unless x consists of whole rows of K */
  constructor(pool: Pool, x: Activations, inFeatures: number) {
    this.given = checkInput(x, inFeatures)
    this.dims = x instanceof Tensor ? x.dims : undefined
    this.type = this.given instanceof Float32Array ? 'float32' : 'bfloat16'
    this.rows = this.given.length / inFeatures
    this.memory = new CallMemory(pool.memory)
    this.data = this.memory.place(this.type, this.given)
  }
}

/** Where the result of a call goes. */
export class Result {
  /** The memory that workers write. */
  readonly data: ActivationArray
  readonly #memory: Memory
  readonly #input: Input
  readonly #outFeatures: number
  readonly #out: Activations | undefined
  /** A new view of the memory of `out`. */
  readonly #target: ActivationArray | undefined

  /** @throws ArgumentError unless `out` has the kind and size of the result */
  constructor({ memory }: Pool, input: Input, outFeatures: number, out?: Activations) {
    const size = input.rows * outFeatures
    const target = out === undefined ? undefined : checkOut(out, input, size)
    this.#memory = memory
    this.#input = input
    this.#outFeatures = outFeatures
    this.#out = out
    this.#target = target
    if (target !== undefined && memory.sees(target)) this.data = target
    // in shared memory if the input is
    else if (isShared(input.given)) this.data = memory.array(input.type, size)
    else this.data = memory.result(input.type, size)
  }

  /**
   * Returns the result for the caller, once workers have written it.
   *
   * @throws ArgumentError if the buffer of `out` was detached or has shrunk during the call
   */
  finish(): Activations {
    const { type, given, dims } = this.#input
    const target = this.#target
    if (this.#out !== undefined && target !== undefined) {
      if (target !== this.data) {
        checkLength('out', target, this.data.length)
        ;(target as Float32Array).set(this.data as Float32Array)
        this.#memory.free(this.data)
      }
      return this.#out
    }
    const data = isShared(given) ? this.data : this.#memory.unshare(this.data)
    if (dims === undefined) return data as Float32Array
    return new Tensor(type, data, [...dims.slice(0, -1), this.#outFeatures])
  }
}

/** Returns the elements of x; throws an ArgumentError unless they are whole rows of K. */
function checkInput(x: unknown, inFeatures: number): ActivationArray {
  const data = readFloats('x', x)
  if (x instanceof Tensor && x.dims.at(-1) !== inFeatures) {
    throw new ArgumentError('x', `a last dimension of ${inFeatures}`, String(x))
  }
  if (data.length % inFeatures !== 0) {
    throw new ArgumentError('x', `a length that is a multiple of ${inFeatures}`, describe(x))
  }
  return data
}

/** Returns the elements of `out`; throws an ArgumentError unless it has the kind and size of the result. */
function checkOut(out: unknown, { type, given, dims }: Input, size: number): ActivationArray {
  const data = readFloats('out', out)
  const sameKind = out instanceof Tensor === (dims !== undefined)
  if (!sameKind || data.constructor !== given.constructor || data.length !== size) {
    const kind = dims === undefined ? 'a Float32Array' : `a ${type} Tensor`
    throw new ArgumentError('out', `${kind} of ${size} elements`, describeTensor(out))
  }
  if (overlaps(data, given)) {
    throw new ArgumentError('out', 'memory that does not overlap x', 'memory that overlaps x')
  }
  return data
}
