import type { FileHandle } from 'node:fs/promises'
import { bf16ToFloat32 } from '../../bf16.js'
import { DisposedError, FormatError } from '../../errors.js'
import { f16ToFloat32 } from '../../f16.js'
import type { OptionNames } from '../../options.js'
import { viewAs } from '../../pool/memory.js'
import { sizeOf, Tensor, type TensorType } from '../../tensor.js'
import { openFile, readFully, reading } from '../json/files.js'
import { parseJson } from '../json/json.js'
import { parseHeader, type TensorEntry } from './safetensors-header.js'

/** The format's own limit, which bounds what a hostile file can make us parse. */
const MAX_HEADER = 100_000_000

const OPENING_BRACE = 0x7b

/** One read asks for at most so much, so that progress and abort come soon. */
const CHUNK = 16 << 20

/** Elements widened at a time. */
const WIDENED = 1 << 20

/** How 16-bit floats become float32. */
const wideners = new Map([
  ['BF16', bf16ToFloat32],
  ['F16', f16ToFloat32],
])

/** The dtypes whose tensors can be read as they are; the header may name others. */
const types = new Map<string, TensorType>([
  ['F32', 'float32'],
  ['BF16', 'bfloat16'],
  ['I8', 'int8'],
  ['I32', 'int32'],
])

export interface ReadOptions {
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Called now and then with the bytes that are done, and all of them. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** Of {@link ReadOptions}. */
export const readOptions: OptionNames<ReadOptions> = { signal: true, onProgress: true }

/** An open safetensors file with a valid header. Tensors are read when asked for. */
export class Safetensors {
  readonly file: string
  /** Every tensor of the file by name, in the order of their bytes. */
  readonly entries: ReadonlyMap<string, TensorEntry>
  readonly #handle: FileHandle
  readonly #dataStart: number
  #closed = false

  private constructor(
    file: string,
    entries: ReadonlyMap<string, TensorEntry>,
    handle: FileHandle,
    dataStart: number,
  ) {
    this.file = file
    this.entries = entries
    this.#handle = handle
    this.#dataStart = dataStart
  }

  /**
   * Opens a file and checks its whole header. Close it when done.
   *
   * @throws FormatError if the file cannot be read or breaks the format; nothing stays open then
   */
  static async open(file: string): Promise<Safetensors> {
    const handle = await openFile(file)
    try {
      const { size } = await reading(file, handle.stat())
      if (size < 8) throw new FormatError(file, `${size} bytes are too few for a header`)
      const prefix = new Uint8Array(8)
      await readFully(file, handle, prefix, 0)
      const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true)
      if (headerBytes > size - 8) {
        throw new FormatError(file, `a header of ${headerBytes} bytes, in a file of ${size}`)
      }
      if (headerBytes > MAX_HEADER) {
        throw new FormatError(file, `a header of ${headerBytes} bytes, more than ${MAX_HEADER}`)
      }
      const header = new Uint8Array(Number(headerBytes))
      await readFully(file, handle, header, 8)
      if (header[0] !== OPENING_BRACE) throw new FormatError(file, 'the header is not an object')
      const dataStart = 8 + header.byteLength
      const entries = parseHeader(file, parseJson(file, header), size - dataStart)
      return new Safetensors(file, entries, handle, dataStart)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** @throws FormatError if there is no such tensor */
  entry(name: string): TensorEntry {
    const entry = this.entries.get(name)
    if (entry === undefined) throw new FormatError(this.file, `tensor ${name} is missing`)
    return entry
  }

  /**
   * Reads a tensor straight into shared memory.
   *
   * @param name one of {@link entries}
   * @throws FormatError if there is none such, its dtype is not F32, BF16, I8 or I32, it is larger
   *   than one buffer can be, or the file is shorter now than it was; DisposedError after {@link close}
   */
  async read(name: string, options?: ReadOptions): Promise<Tensor> {
    const { dtype, dims, byteLength } = this.#openEntry(name)
    const type = types.get(dtype)
    if (type === undefined) throw this.#wrongType(name, types.keys())
    const bytes = this.#allocate(name, byteLength)
    await this.readBytes(name, 0, bytes, options)
    return new Tensor(type, viewAs(type, bytes, sizeOf(dims)), dims)
  }

  /**
   * Reads a tensor of floats as float32, whichever width the file has, into shared memory.
   *
   * @returns float32 of as many elements as the tensor has
   * @throws FormatError as {@link read}, or if its dtype is not F32, BF16 or F16; DisposedError
   */
  async readFloat(name: string, options: ReadOptions = {}): Promise<Float32Array> {
    const { dtype, dims, byteLength } = this.#openEntry(name)
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
   * Reads a part of a tensor's bytes, as they are.
   *
   * @param begin of the part, bytes from the start of the tensor; the part ends inside of it
   * @param into filled; its length is the part's
   * @throws FormatError if there is no such tensor, or the file is shorter now than it was;
   *   DisposedError after {@link close}
   */
  async readBytes(
    name: string,
    begin: number,
    into: Uint8Array,
    { signal, onProgress }: ReadOptions = {},
  ): Promise<void> {
    const start = this.#dataStart + this.#openEntry(name).begin + begin
    for (let done = 0; done < into.byteLength; ) {
      if (this.#closed) throw new DisposedError(this.file)
      signal?.throwIfAborted()
      const chunk = into.subarray(done, done + CHUNK)
      await readFully(this.file, this.#handle, chunk, start + done)
      done += chunk.byteLength
      onProgress?.(done, into.byteLength)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#handle.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #openEntry(name: string): TensorEntry {
    if (this.#closed) throw new DisposedError(this.file)
    return this.entry(name)
  }

  #allocate(name: string, byteLength: number): Uint8Array<SharedArrayBuffer> {
    try {
      return new Uint8Array(new SharedArrayBuffer(byteLength))
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause
      const problem = `tensor ${name}: no buffer of ${byteLength} bytes can be had`
      throw new FormatError(this.file, problem, { cause })
    }
  }

  #wrongType(name: string, readable: Iterable<string>): FormatError {
    const problem = `${this.entry(name).dtype} is none of ${[...readable].join(', ')}`
    return new FormatError(this.file, `tensor ${name}: ${problem}`)
  }
}
