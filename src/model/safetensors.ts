import type { FileHandle } from 'node:fs/promises'
import { DisposedError, FormatError } from '../errors.js'
import { sharedBytes, viewAs } from '../pool/memory.js'
import { sizeOf, Tensor, type TensorType } from '../tensor.js'
import { openFile, readFully, reading } from './files.js'
import { parseJson } from './json.js'
import { parseHeader, type TensorEntry } from './safetensors-header.js'

/** The format's own limit, which bounds what a hostile file can make us parse. */
const MAX_HEADER = 100_000_000

const OPENING_BRACE = 0x7b

/** One read asks for at most so much, so that progress and abort come soon. */
const CHUNK = 16 << 20

/** The dtypes whose tensors can be read; the header may name others. */
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

  /**
   * Reads a tensor straight into shared memory, 64-byte aligned.
   *
   * @param name one of {@link entries}
   * @throws FormatError if there is none such, its dtype is not F32, BF16, I8 or I32, or the file is
   *   shorter now than it was; DisposedError after {@link close}
   */
  async read(name: string, { signal, onProgress }: ReadOptions = {}): Promise<Tensor> {
    if (this.#closed) throw new DisposedError(this.file)
    const entry = this.entries.get(name)
    if (entry === undefined) throw new FormatError(this.file, `tensor ${name} is missing`)
    const type = types.get(entry.dtype)
    if (type === undefined) {
      const readable = [...types.keys()].join(', ')
      throw new FormatError(this.file, `tensor ${name}: ${entry.dtype} is none of ${readable}`)
    }
    const bytes = sharedBytes(entry.byteLength)
    const start = this.#dataStart + entry.begin
    for (let done = 0; done < bytes.byteLength; ) {
      signal?.throwIfAborted()
      const chunk = bytes.subarray(done, done + CHUNK)
      await readFully(this.file, this.#handle, chunk, start + done)
      done += chunk.byteLength
      onProgress?.(done, bytes.byteLength)
    }
    return new Tensor(type, viewAs(type, bytes, sizeOf(entry.dims)), entry.dims)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#handle.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
