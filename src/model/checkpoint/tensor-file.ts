import type { FileHandle } from 'node:fs/promises'
import { bf16ToFloat32 } from '../../bf16.js'
import { checkCallback, checkSignal, DisposedError, FormatError } from '../../errors.js'
import { f16ToFloat32 } from '../../f16.js'
import type { OptionNames } from '../../options.js'
import { viewAs } from '../../pool/memory.js'
import { sizeOf, Tensor, type TensorType } from '../../tensor.js'

/** Elements widened at a time. */
const WIDENED = 1 << 20

/** How 16-bit floats become float32. */
const wideners = new Map([
  ['BF16', bf16ToFloat32],
  ['F16', f16ToFloat32],
])

/** The dtypes that {@link TensorFile.read} supports; the file may have others. */
const types = new Map<string, TensorType>([
  ['F32', 'float32'],
  ['BF16', 'bfloat16'],
  ['I8', 'int8'],
  ['I32', 'int32'],
])

export interface ReadOptions {
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Called from time to time with the bytes done so far, and the total. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** For {@link ReadOptions}. */
export const readOptions: OptionNames<ReadOptions> = {
  signal: checkSignal,
  onProgress: checkCallback,
}

/** A tensor's dtype and size when read. */
export interface TensorEntry {
  /** As safetensors spell it, e.g. `BF16`. */
  readonly dtype: string
  readonly dims: readonly number[]
  /** Of all its elements. */
  readonly byteLength: number
  /** The type of the blocks that are dequantised to `dtype`, if it is stored so, e.g. `Q4_0`. */
  readonly blocks?: string | undefined
}

/** An open file of tensors with a valid header. Tensors are read on request. */
export abstract class TensorFile<Entry extends TensorEntry = TensorEntry> {
  readonly file: string
  /** Every tensor of the file by name, in the order of their bytes. */
  readonly entries: ReadonlyMap<string, Entry>
  /** The size of all tensors in the file. */
  readonly dataBytes: number
  protected readonly handle: FileHandle
  #closed = false

  constructor(
    file: string,
    handle: FileHandle,
    entries: ReadonlyMap<string, Entry>,
    dataBytes: number,
  ) {
    this.file = file
    this.handle = handle
    this.entries = entries
    this.dataBytes = dataBytes
  }

  /** @throws FormatError if there is no such tensor */
  entry(name: string): Entry {
    const entry = this.entries.get(name)
    if (entry === undefined) throw new FormatError(this.file, `tensor ${name} is missing`)
    return entry
  }

  /**
   * Reads a tensor straight into shared memory.
   *
   * @param name one of {@link entries}
   * @throws FormatError if there is no such tensor, its dtype is not F32, BF16, I8 or I32, it is larger
   *   than a buffer can be, or the file has shrunk; DisposedError after {@link close}
   */
  async read(name: string, options?: ReadOptions): Promise<Tensor> {
    const { dtype, dims, byteLength } = this.openEntry(name)
    const type = types.get(dtype)
    if (type === undefined) throw this.#wrongType(name, types.keys())
    const bytes = this.#allocate(name, byteLength)
    await this.readBytes(name, 0, bytes, options)
    return new Tensor(type, viewAs(type, bytes, sizeOf(dims)), dims)
  }

  /**
   * Reads a tensor of floats as float32, from any float dtype, into shared memory.
   *
   * @returns float32 with as many elements as the tensor
   * @throws FormatError as {@link read}, or if its dtype is not F32, BF16 or F16; DisposedError
   */
  async readFloat(name: string, options: ReadOptions = {}): Promise<Float32Array> {
    const { dtype, dims, byteLength } = this.openEntry(name)
    const widen = wideners.get(dtype)
    if (widen === undefined && dtype !== 'F32')
      throw this.#wrongType(name, ['F32', ...wideners.keys()])
    const size = sizeOf(dims)
    const bytes = this.#allocate(name, 4 * size)
    const floats = viewAs('float32', bytes, size)
    if (widen === undefined) {
      await this.readBytes(name, 0, bytes, options)
      return floats
    }
    const bits = new Uint16Array(Math.min(size, WIDENED))
    for (let done = 0; done < size; done += bits.length) {
      const part = bits.subarray(0, size - done)
      const partBytes = new Uint8Array(part.buffer, 0, part.byteLength)
      await this.readBytes(name, 2 * done, partBytes, { signal: options.signal })
      widen(part, floats.subarray(done, done + part.length))
      options.onProgress?.(2 * (done + part.length), byteLength)
    }
    return floats
  }

  /**
   * Reads a part of a tensor's bytes, in the dtype of its entry.
   *
   * @param begin of the part, bytes from the start of the tensor; the part ends inside the tensor
   * @param into receives the part; its length is the part's
   * @throws FormatError if there is no such tensor, or the file has shrunk;
   *   DisposedError after {@link close}
   */
  abstract readBytes(
    name: string,
    begin: number,
    into: Uint8Array,
    options?: ReadOptions,
  ): Promise<void>

  /**
   * Reads rows of a matrix that is stored in blocks, as they are.
   *
   * @throws FormatError if it is not, or the file has shrunk; DisposedError after {@link close}
   */
  async readBlocks(name: string, _firstRow: number, _lastRow: number): Promise<Uint8Array> {
    throw new FormatError(this.file, `tensor ${name} is not stored in blocks`)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.handle.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @throws DisposedError after {@link close}; FormatError if there is no such tensor */
  protected openEntry(name: string): Entry {
    if (this.#closed) throw new DisposedError(this.file)
    return this.entry(name)
  }

  #allocate(name: string, byteLength: number): Uint8Array<SharedArrayBuffer> {
    try {
      return new Uint8Array(new SharedArrayBuffer(byteLength))
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause
      const problem = `tensor ${name}: cannot allocate a buffer of ${byteLength} bytes`
      throw new FormatError(this.file, problem, { cause })
    }
  }

  #wrongType(name: string, readable: Iterable<string>): FormatError {
    const problem = `dtype ${this.entry(name).dtype} is not supported, only ${[...readable].join(', ')}`
    return new FormatError(this.file, `tensor ${name}: ${problem}`)
  }
}
