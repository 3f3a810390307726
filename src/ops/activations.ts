import { ArgumentError, checkSignal, describe } from '../errors.js'
import type { OptionNames } from '../options.js'
import { CallMemory, type Memory, overlaps } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import { checkLength, describeTensor, readFloats, Tensor } from '../tensor.js'
import { isShared } from '../views.js'

/*
 * What forward calls have in common: rows of activations come in as an array or a tensor, and results
 * go out as the same.
 */

/** Activation types that a Linear takes and gives. */
export type ActivationType = 'float32' | 'bfloat16'

/** float32 [M * K], or a tensor [..., K]. */
export type Activations = Float32Array | Tensor<ActivationType>

/** The elements of activations; bfloat16 as its bits. */
export type ActivationArray = Float32Array | Uint16Array

export interface ForwardOptions<Out> {
  /** Rejects the call when aborted; workers skip what they have not begun. */
  signal?: AbortSignal | undefined
  /**
   * Where to write the result instead of into new memory; of the input's kind and the result's size.
   * In shared memory (see `pool.tensor`) workers write it directly.
   */
  out?: Out | undefined
}

/** What `forwardSync` knows of them: it cannot be stopped. */
export type Sync<Options> = Omit<Options, 'signal'>

export const syncForwardOptions: OptionNames<Sync<ForwardOptions<unknown>>> = { out: true }

export const forwardOptions: OptionNames<ForwardOptions<unknown>> = {
  ...syncForwardOptions,
  signal: checkSignal,
}

/** The checked input of a call, where workers see it, and memory for what the call needs besides. */
export class Input {
  readonly type: ActivationType
  readonly rows: number
  readonly data: ActivationArray
  readonly memory: CallMemory
  /** What the caller gave, by a view of our own, and its sizes if it is a tensor. */
  readonly given: ActivationArray
  readonly dims: readonly number[] | undefined

  /** @throws ArgumentError unless x is whole rows of K */
  constructor(pool: Pool, x: Activations, inFeatures: number) {
    this.given = checkInput(x, inFeatures)
    this.dims = x instanceof Tensor ? x.dims : undefined
    this.type = this.given instanceof Float32Array ? 'float32' : 'bfloat16'
    this.rows = this.given.length / inFeatures
    this.memory = new CallMemory(pool.memory)
    this.data = this.memory.share(this.type, this.given)
  }
}

/** Where the result of a call goes. */
export class Result {
  /** Where workers write it. */
  readonly data: ActivationArray
  readonly #memory: Memory
  readonly #input: Input
  readonly #outFeatures: number
  readonly #out: Activations | undefined
  /** The memory of `out` by a view of our own. */
  readonly #target: ActivationArray | undefined

  /** @throws ArgumentError unless `out` looks like the result of the input */
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
   * What the caller gets, once workers have written it.
   *
   * @throws ArgumentError if the memory of `out` is gone meanwhile
   */
  finish(): Activations {
    const { type, given, dims } = this.#input
    const target = this.#target
    if (this.#out !== undefined && target !== undefined) {
      if (target !== this.data) {
        checkLength('out', target, this.data.length)
        ;(target as Float32Array).set(this.data as Float32Array)
        this.#memory.discard(this.data)
      }
      return this.#out
    }
    const data = isShared(given) ? this.data : this.#memory.unshare(this.data)
    if (dims === undefined) return data as Float32Array
    return new Tensor(type, data, [...dims.slice(0, -1), this.#outFeatures])
  }
}

/** The elements of x, whole rows of K. */
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

/** The elements of `out`, which must look like the result of the input. */
function checkOut(out: unknown, { type, given, dims }: Input, size: number): ActivationArray {
  const data = readFloats('out', out)
  const sameKind = out instanceof Tensor === (dims !== undefined)
  if (!sameKind || data.constructor !== given.constructor || data.length !== size) {
    const kind = dims === undefined ? 'a Float32Array' : `a ${type} Tensor`
    throw new ArgumentError('out', `${kind} of ${size} elements`, describeTensor(out))
  }
  if (overlaps(data, given)) {
    throw new ArgumentError('out', 'memory apart from x', 'memory that x lies in')
  }
  return data
}
