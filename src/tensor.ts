import { ArgumentError, describe } from './errors.js'

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

/**
 * A typed, shaped view of data, row-major. Holds `data` as it is, without a copy.
 * The fields are named as in onnxruntime and transformers.js.
 */
export class Tensor<T extends TensorType = TensorType> {
  readonly type: T
  readonly data: TensorData[T]
  readonly dims: readonly number[]

  /**
   * @param type element type
   * @param data the elements; their count is the product of `dims`
   * @param dims sizes, outermost first
   * @throws ArgumentError if type, data and dims do not fit each other
   */
  constructor(type: T, data: TensorData[T], dims: readonly number[]) {
    checkShape(type, dims)
    const Expected = arrayOf[type]
    if (!(data instanceof Expected)) {
      throw new ArgumentError('data', `${Expected.name} for type ${type}`, describe(data))
    }
    const size = sizeOf(dims)
    if (data.length !== size) {
      throw new ArgumentError('data', `${size} elements for dims [${dims}]`, describe(data))
    }
    this.type = type
    this.data = data
    this.dims = Object.freeze([...dims])
  }

  /** Number of elements. */
  get size(): number {
    return this.data.length
  }

  toString(): string {
    return `Tensor(${this.type}, [${this.dims.join(', ')}])`
  }
}

/** Number of elements of an array of shape `dims`. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((size, d) => size * d, 1)
}

/** More elements than this no typed array holds on any platform. */
const MAX_SIZE = 2 ** 33

/** Throws an ArgumentError unless there can be a tensor of the type and sizes. */
export function checkShape(type: unknown, dims: readonly number[]): void {
  if (typeof type !== 'string' || !Object.hasOwn(arrayOf, type)) {
    throw new ArgumentError('type', `one of ${Object.keys(arrayOf).join(', ')}`, describe(type))
  }
  if (!Array.isArray(dims) || dims.some((d) => !Number.isSafeInteger(d) || d < 0)) {
    throw new ArgumentError(
      'dims',
      'an array of non-negative integers',
      String(JSON.stringify(dims)),
    )
  }
  if (sizeOf(dims) > MAX_SIZE) {
    throw new ArgumentError('dims', `at most ${MAX_SIZE} elements`, `[${dims}]`)
  }
}
