import { ArgumentError, checkInteger, describe } from '../errors.js'
import { lazily } from '../lazily.js'
import type { Placed } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import type { WeightShape } from '../reference/quantize.js'
import { denseStride } from '../reference/sum16.js'
import { arrayOf, type TensorData } from '../tensor.js'

export type DenseType = 'float32' | 'bfloat16'

/** The memory of float weights [N, K] and the bias, bytes. */
export function denseBytes(type: DenseType, shape: WeightShape, bias = false): number {
  const { inFeatures, outFeatures } = shape
  const { BYTES_PER_ELEMENT } = arrayOf[type]
  const biasBytes = bias ? outFeatures * Float32Array.BYTES_PER_ELEMENT : 0
  return outFeatures * denseStride(inFeatures) * BYTES_PER_ELEMENT + biasBytes
}

/**
 * Float weights [N, K] in shared memory: an embedding, or a Linear that is not quantised. Rows are padded with zeros
 * to a multiple of 16 elements.
 */
export class DenseWeight<T extends DenseType = DenseType> {
  readonly type: T
  readonly inFeatures: number
  readonly outFeatures: number
  /** float32, or bfloat16 bits, [N, K padded to 16]. */
  declare readonly data: TensorData[T]
  /** float32 [N]. */
  readonly bias: Float32Array | undefined
  /** The addresses of the weights and the bias for C; 0 without a bias, or without native code. */
  readonly address: number
  readonly biasAddress: number

  /**
   * Allocates zeros, for {@link set} to fill.
   *
   * @param outFeatures N
   * @param inFeatures K
   * @param bias float32 [N], copied
   * @param data the weights as {@link data} has them, where workers see them; referenced without a copy
   * @throws ArgumentError if an argument does not fit
   */
  constructor(
    pool: Pool,
    type: T,
    outFeatures: number,
    inFeatures: number,
    bias?: Float32Array | undefined,
    data?: Placed<TensorData[T]>,
  ) {
    if (type !== 'float32' && type !== 'bfloat16') {
      throw new ArgumentError('type', "'float32' or 'bfloat16'", describe(type))
    }
    checkInteger('outFeatures', outFeatures, 1, 2 ** 31 - 1)
    checkInteger('inFeatures', inFeatures, 1, 2 ** 31 - 1)
    if (bias !== undefined && bias.length !== outFeatures) {
      throw new ArgumentError('bias', `${outFeatures} elements`, describe(bias))
    }
    this.type = type
    this.inFeatures = inFeatures
    this.outFeatures = outFeatures
    const placed = data ?? newData(pool, type, outFeatures * denseStride(inFeatures))
    lazily(this, 'data', () => placed.array)
    if (bias !== undefined) {
      this.bias = pool.memory.array('float32', outFeatures)
      this.bias.set(bias)
    }
    this.address = placed.address
    this.biasAddress = this.bias === undefined ? 0 : pool.addressOf(this.bias)
  }

  /** The size of the weights, bytes. */
  get byteLength(): number {
    return denseBytes(this.type, this)
  }

  /** Whether rows follow each other without padding. */
  get isPacked(): boolean {
    return denseStride(this.inFeatures) === this.inFeatures
  }

  /** The memory of rows [first, last), to be written. */
  bytes(first: number, last: number): Uint8Array {
    const rowBytes = denseStride(this.inFeatures) * this.bytesPerElement
    const { buffer, byteOffset } = this.data
    return new Uint8Array(buffer, byteOffset + first * rowBytes, (last - first) * rowBytes)
  }

  /** Rows [first, last) without padding. */
  read(first: number, last: number): TensorData[T] {
    const { inFeatures: K } = this
    const stride = denseStride(K)
    if (this.isPacked) return this.data.subarray(first * K, last * K) as TensorData[T]
    const rows = new arrayOf[this.type]((last - first) * K) as TensorData[T]
    for (let row = first; row < last; row++) {
      rows.set(this.data.subarray(row * stride, row * stride + K), (row - first) * K)
    }
    return rows
  }

  /** The size of an element, bytes. */
  get bytesPerElement(): number {
    return arrayOf[this.type].BYTES_PER_ELEMENT
  }

  /**
   * Copies whole rows.
   *
   * @param firstRow the row of the weights that the first of `values` becomes
   * @param values float32 or bfloat16 bits, as the weights are, [rows, K]
   * @throws ArgumentError if they are of another type, not whole rows, or too many
   */
  set(firstRow: number, values: TensorData[T]): void {
    const { inFeatures: K, outFeatures: N } = this
    const Expected = arrayOf[this.type]
    checkInteger('firstRow', firstRow, 0, N - 1)
    if (!(values instanceof Expected)) {
      throw new ArgumentError('values', `${Expected.name} for ${this.type}`, describe(values))
    }
    const rows = values.length / K
    if (!Number.isInteger(rows) || firstRow + rows > N) {
      const expected = `whole rows of ${K} elements, at most ${N - firstRow}`
      throw new ArgumentError('values', expected, describe(values))
    }
    const stride = denseStride(K)
    for (let row = 0; row < rows; row++) {
      this.data.set(values.subarray(row * K, (row + 1) * K), (firstRow + row) * stride)
    }
  }
}

function newData<T extends DenseType>(pool: Pool, type: T, length: number): Placed<TensorData[T]> {
  const array = pool.memory.array(type, length)
  return { address: pool.addressOf(array), array }
}
