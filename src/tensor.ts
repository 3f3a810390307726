import { ArgumentError, describe, OutOfMemoryError } from './errors.js'
import { isDetached, kindOf, lengthOf, type ViewClass, viewOf } from './views.js'

/** Element types and the typed array that holds each; bfloat16 is held as its bits. */
export interface TensorData {
  float32: Float32Array
  bfloat16: Uint16Array
  int8: Int8Array
  int32: Int32Array
}

export type TensorType = keyof TensorData

export const arrayOf = {
  float32: Float32Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int32: Int32Array,
} as const

/** Allocates an array of zeros; throws an OutOfMemoryError if it cannot. */
export function newArray<A extends ArrayBufferView>(
  TypedArray: { new (length: number): A; readonly BYTES_PER_ELEMENT: number },
  length: number,
): A {
  try {
    return new TypedArray(length)
  } catch (cause) {
    throw new OutOfMemoryError(length * TypedArray.BYTES_PER_ELEMENT, cause)
  }
}

/**
 * A typed, shaped view of data, row-major. References `data` without a copy. Its fields have the names of
 * onnxruntime's and transformers.js's tensors.
 */
export class Tensor<T extends TensorType = TensorType> {
  readonly type: T
  readonly data: TensorData[T]
  readonly dims: readonly number[]

  /**
   * @param type element type
   * @param data the elements, as many as the product of `dims`
   * @param dims sizes, outermost first
   * @throws ArgumentError if type, data and dims do not fit each other
   */
  constructor(type: T, data: TensorData[T], dims: readonly number[]) {
    checkType(type)
    const sizes = copyDims(dims)
    const expected = arrayOf[type].name
    if (kindOf(data) !== expected) {
      throw new ArgumentError('data', `${expected} for type ${type}`, describe(data))
    }
    const size = sizeOf(sizes)
    if (lengthOf(data) !== size) {
      throw new ArgumentError('data', `${size} elements for dims [${sizes}]`, describe(data))
    }
    this.type = type
    this.data = data
    this.dims = sizes
  }

  /** Number of elements. */
  get size(): number {
    return this.data.length
  }

  toString(): string {
    return `Tensor(${this.type}, [${this.dims.join(', ')}])`
  }
}

/** The elements of float activations; bfloat16 as its bits. */
export type ActivationArray = Float32Array | Uint16Array

/** Number of elements of an array of shape `dims`. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((size, d) => size * d, 1)
}

/** The most elements of a typed array on any platform. */
const MAX_SIZE = 2 ** 33

/** Throws an ArgumentError unless `type` is an element type. */
export function checkType(type: unknown): asserts type is TensorType {
  if (typeof type !== 'string' || !Object.hasOwn(arrayOf, type)) {
    throw new ArgumentError('type', `one of ${Object.keys(arrayOf).join(', ')}`, describe(type))
  }
}

/** Copies the sizes of a tensor; throws an ArgumentError unless they are valid. */
export function copyDims(dims: readonly number[]): readonly number[] {
  if (!Array.isArray(dims)) {
    throw new ArgumentError('dims', 'an array of non-negative integers', describe(dims))
  }
  const copy: readonly number[] = Object.freeze([...dims])
  if (copy.some((d) => !Number.isSafeInteger(d) || d < 0)) {
    const got = `[${copy.map(describe).join(', ')}]`
    throw new ArgumentError('dims', 'an array of non-negative integers', got)
  }
  if (sizeOf(copy) > MAX_SIZE) {
    throw new ArgumentError('dims', `at most ${MAX_SIZE} elements`, `[${copy}]`)
  }
  return copy
}

/**
 * Returns a new view of a tensor's elements, as many as its sizes say; undefined unless it has one of the types.
 *
 * @throws ArgumentError if its buffer was detached or has shrunk
 */
export function elementsOf<T extends TensorType>(
  argument: string,
  { type, data, dims }: Tensor,
  types: readonly T[],
): TensorData[T] | undefined {
  if (!types.some((known) => known === type)) return undefined
  const View = arrayOf[type] as unknown as ViewClass<TensorData[T]>
  const elements = attachedView(argument, View, data)
  if (elements !== undefined) checkLength(argument, elements, sizeOf(dims))
  return elements
}

/**
 * Returns a new view of float elements; of bfloat16, the bits.
 *
 * @throws ArgumentError unless `floats` is a Float32Array or a float32 or bfloat16 tensor that has kept its length
 */
export function readFloats(argument: string, floats: unknown): ActivationArray {
  const elements =
    floats instanceof Tensor
      ? elementsOf(argument, floats, ['float32', 'bfloat16'])
      : attachedView(argument, Float32Array, floats)
  if (elements !== undefined) return elements
  const expected = 'a Float32Array or a float32 or bfloat16 Tensor'
  throw new ArgumentError(argument, expected, describeTensor(floats))
}

/** Describes a value as {@link describe} does, and a tensor by its type and sizes. */
export function describeTensor(value: unknown): string {
  return value instanceof Tensor ? String(value) : describe(value)
}

/** Makes a new view of a typed array, as {@link viewOf} does; throws an ArgumentError if its buffer was detached. */
function attachedView<View extends { length: number }>(
  argument: string,
  View: ViewClass<View>,
  array: unknown,
): View | undefined {
  const view = viewOf(View, array)
  if (view?.length === 0 && isDetached(array)) {
    throw new ArgumentError(argument, 'an attached buffer', 'a detached one')
  }
  return view
}

/** Throws an ArgumentError unless the view still has its length: its buffer can shrink during a call. */
export function checkLength(argument: string, view: { length: number }, length: number): void {
  if (view.length === length) return
  throw new ArgumentError(argument, `${length} elements until the call settles`, describe(view))
}
