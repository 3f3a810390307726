import type { FileHandle } from 'node:fs/promises'
import { FormatError } from '../../errors.js'
import { FileLimit, openFile, readFully } from '../json/files.js'
import { parseJson } from '../json/json.js'
import { parseHeader, type SafetensorsEntry } from './safetensors-header.js'
import { type ReadOptions, TensorFile } from './tensor-file.js'

const OPENING_BRACE = 0x7b

/** The most bytes of one read, so that progress and aborts are prompt. */
const CHUNK = 16 << 20

/** An open safetensors file. */
export class Safetensors extends TensorFile<SafetensorsEntry> {
  readonly #dataStart: number

  private constructor(
    file: string,
    handle: FileHandle,
    entries: ReadonlyMap<string, SafetensorsEntry>,
    dataBytes: number,
    dataStart: number,
  ) {
    super(file, handle, entries, dataBytes)
    this.#dataStart = dataStart
  }

  /**
   * Opens a file and checks its whole header. Close it when done.
   *
   * @throws FormatError if the file cannot be read or breaks the format; nothing stays open then
   */
  static async open(file: string): Promise<Safetensors> {
    const { handle, size } = await openFile(file)
    try {
      if (size < 8) throw new FormatError(file, `${size} bytes are too few for a header`)
      const prefix = new Uint8Array(8)
      await readFully(file, handle, prefix, 0)
      const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true)
      if (headerBytes > size - 8) {
        throw new FormatError(file, `a header of ${headerBytes} bytes, in a file of ${size}`)
      }
      const limit = FileLimit.tensorList
      if (headerBytes > limit) {
        throw new FormatError(file, `a header of ${headerBytes} bytes, more than ${limit}`)
      }
      const header = new Uint8Array(Number(headerBytes))
      await readFully(file, handle, header, 8)
      if (header[0] !== OPENING_BRACE) throw new FormatError(file, 'the header is not an object')
      const dataStart = 8 + header.byteLength
      const dataBytes = size - dataStart
      const entries = parseHeader(file, parseJson(file, header), dataBytes)
      return new Safetensors(file, handle, entries, dataBytes, dataStart)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  override async readBytes(
    name: string,
    begin: number,
    into: Uint8Array,
    { signal, onProgress }: ReadOptions = {},
  ): Promise<void> {
    const start = this.#dataStart + this.openEntry(name).begin + begin
    for (let done = 0; done < into.byteLength; ) {
      this.openEntry(name)
      signal?.throwIfAborted()
      const chunk = into.subarray(done, done + CHUNK)
      await readFully(this.file, this.handle, chunk, start + done)
      done += chunk.byteLength
      onProgress?.(done, into.byteLength)
    }
  }
}
