import { ArgumentError, describe } from '../errors.js'
import type { OptionNames } from '../options.js'
import { CallMemory, isDetached, isShared, type Memory, overlaps } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import { NativeType } from '../pool/program.js'
import { Tensor } from '../tensor.js'

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
  signal: true,
}

/** The checked input of a call, where workers see it, and memory for what the call needs besides. */
export class Input {
  readonly type: ActivationType
  readonly nativeType: number
  readonly rows: number
  readonly data: ActivationArray
  readonly memory: CallMemory

  /** @throws ArgumentError unless x is whole rows of K */
  constructor(pool: Pool, x: Activations, inFeatures: number) {
    const data = checkInput(x, inFeatures)
    this.type = data instanceof Float32Array ? 'float32' : 'bfloat16'
    this.nativeType = NativeType[this.type]
    this.rows = data.length / inFeatures
    this.memory = new CallMemory(pool.memory)
    this.data = this.memory.share(this.type, data)
  }
}

/** Where the result of a call goes. */
export class Result {
  /** Where workers write it. */
  readonly data: ActivationArray
  readonly #memory: Memory
  readonly #x: Activations
  readonly #outFeatures: number
  readonly #out: Activations | undefined

  /** @throws ArgumentError unless `out` looks like the result of x */
  constructor(pool: Pool, x: Activations, rows: number, outFeatures: number, out?: Activations) {
    const target = out === undefined ? undefined : checkOut(out, x, rows * outFeatures)
    this.#memory = pool.memory
    this.#x = x
    this.#outFeatures = outFeatures
    this.#out = out
    this.data = target && pool.memory.sees(target) ? target : newArray(pool, x, rows * outFeatures)
  }

  /** What the caller gets, once workers have written it. */
  finish(): Activations {
    if (this.#out !== undefined) {
      const target = elementsOf(this.#out)
      if (target !== this.data) {
        ;(target as Float32Array).set(this.data as Float32Array)
        this.#memory.discard(this.data)
      }
      return this.#out
    }
    const data = isShared(elementsOf(this.#x)) ? this.data : this.#memory.unshare(this.data)
    if (!(this.#x instanceof Tensor)) return data as Float32Array
    return new Tensor(this.#x.type, data, [...this.#x.dims.slice(0, -1), this.#outFeatures])
  }
}

/** Where a result lies: in shared memory if the input does. */
function newArray({ memory }: Pool, x: Activations, length: number): ActivationArray {
  const elements = elementsOf(x)
  const type = elements instanceof Float32Array ? 'float32' : 'bfloat16'
  return isShared(elements) ? memory.array(type, length) : memory.result(type, length)
}

function elementsOf(x: Activations): ActivationArray {
  return x instanceof Tensor ? x.data : x
}

/** A value for the `got` of an error. */
function describeActivations(x: unknown): string {
  return x instanceof Tensor ? String(x) : describe(x)
}

/** The elements of x, whole rows of K. */
function checkInput(x: unknown, inFeatures: number): ActivationArray {
  const data = x instanceof Tensor ? x.data : x
  const isActivation =
    data instanceof Float32Array || (x instanceof Tensor && data instanceof Uint16Array)
  if (!isActivation) {
    const expected = 'a Float32Array or a float32 or bfloat16 Tensor'
    throw new ArgumentError('x', expected, describeActivations(x))
  }
  if (isDetached(data)) throw new ArgumentError('x', 'an attached buffer', 'a detached one')
  if (x instanceof Tensor) {
    if (x.dims.at(-1) !== inFeatures) {
      throw new ArgumentError('x', `a last dimension of ${inFeatures}`, String(x))
    }
  } else if (data.length % inFeatures !== 0) {
    throw new ArgumentError('x', `a length that is a multiple of ${inFeatures}`, describe(x))
  }
  return data
}

/** The elements of `out`, which must look like the result of x. */
function checkOut(out: unknown, x: Activations, size: number): ActivationArray {
  const data = (out instanceof Tensor ? out.data : out) as ActivationArray
  const input = elementsOf(x)
  const sameKind = out instanceof Tensor === x instanceof Tensor
  if (!sameKind || !(data instanceof input.constructor) || data.length !== size) {
    const kind = x instanceof Tensor ? `a ${x.type} Tensor` : 'a Float32Array'
    throw new ArgumentError('out', `${kind} of ${size} elements`, describeActivations(out))
  }
  if (overlaps(data, input)) {
    throw new ArgumentError('out', 'memory apart from x', 'memory that x lies in')
  }
  return data
}
