import { bf16ToFloat32 } from '../../bf16.js'
import { FormatError } from '../../errors.js'
import { f16ToFloat32 } from '../../f16.js'
import type { WeightArray, WeightSource } from '../../ops/weight.js'
import { CallMemory } from '../../pool/memory.js'
import type { Pool } from '../../pool/pool.js'
import type { TensorReader } from './tensor-reader.js'

/** How the elements of a weight are stored, and in which dtype they are held once read. */
const formats = {
  I8: { array: Int8Array, bytes: 1 },
  BF16: { array: Uint16Array, bytes: 2 },
  F16: { array: Uint16Array, bytes: 2 },
  F32: { array: Float32Array, bytes: 4 },
} as const

/**
 * A weight [N, K] of a checkpoint, read some rows at a time into two buffers in turn: while the rows in one are
 * processed, the next are read into the other.
 */
export class StoredRows implements WeightSource {
  readonly dtype: keyof typeof formats
  readonly #reader: TensorReader
  readonly #name: string
  readonly #dims: readonly [rows: number, columns: number]
  readonly #memory: CallMemory
  #buffers: Uint8Array[] = []

  /** @throws FormatError if there is no such tensor, or it is of another shape or dtype */
  constructor(
    pool: Pool,
    reader: TensorReader,
    name: string,
    dims: readonly [rows: number, columns: number],
  ) {
    const { checkpoint } = reader
    const dtype = checkpoint.dtype(name)
    if (!Object.hasOwn(formats, dtype)) {
      const problem = `tensor ${name}: dtype ${dtype} is not supported, only ${Object.keys(formats).join(', ')}`
      throw new FormatError(checkpoint.fileOf(name), problem)
    }
    checkpoint.checkShape(name, dims)
    this.dtype = dtype as keyof typeof formats
    this.#reader = reader
    this.#name = name
    this.#dims = dims
    this.#memory = new CallMemory(pool.memory)
  }

  /** Bytes of an element that {@link read} returns. */
  get bytesPerElement(): number {
    return this.dtype === 'F16' ? 4 : formats[this.dtype].bytes
  }

  /** Rows [first, last) as they are stored, but F16 as float32. */
  async read(first: number, last: number): Promise<WeightArray> {
    const { array: Stored, bytes } = formats[this.dtype]
    const count = (last - first) * this.#dims[1]
    const buffer = this.#nextBuffer(count)
    // F16 is read to the end of the buffer, so that its float32 values do not overwrite it
    const stored = buffer.subarray(
      count * (this.bytesPerElement - bytes),
      count * this.bytesPerElement,
    )
    await this.#reader.readRows(this.#name, this.#dims, first, last, stored)
    const elements = new Stored(stored.buffer as ArrayBuffer, stored.byteOffset, count)
    if (this.dtype !== 'F16') return elements
    const floats = new Float32Array(buffer.buffer, buffer.byteOffset, count)
    return f16ToFloat32(elements as Uint16Array, floats)
  }

  /** Rows [first, last) as float32; int8 rows are multiplied by their scales. */
  async readFloats(first: number, last: number, scale?: Float32Array): Promise<Float32Array> {
    const rows = await this.read(first, last)
    if (rows instanceof Float32Array) return rows
    if (rows instanceof Uint16Array) return bf16ToFloat32(rows)
    return scaleRows(rows, this.#dims[1], scale?.subarray(first))
  }

  /** Releases the buffers. */
  release(): void {
    this.#buffers = []
    this.#memory.release()
  }

  #nextBuffer(count: number): Uint8Array {
    const size = count * this.bytesPerElement
    if (this.#buffers.length < 2) this.#buffers.push(this.#memory.acquire(size))
    else this.#buffers.reverse()
    return this.#buffers[1] ?? this.#buffers[0]
  }
}

/** float32 rows[i, k] * scale[i] */
export function scaleRows(rows: Int8Array, columns: number, scale?: Float32Array): Float32Array {
  const scaled = new Float32Array(rows)
  if (scale === undefined) return scaled
  for (let start = 0, i = 0; start < scaled.length; start += columns, i++) {
    const s = scale[i]
    for (let k = start; k < start + columns; k++) scaled[k] *= s
  }
  return scaled
}
