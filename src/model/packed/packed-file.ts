import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { FormatError } from '../../errors.js'
import type { ReadOptions } from '../checkpoint/tensor-file.js'
import { isFile, openFile, readFully } from '../json/files.js'
import type { TextContents, TextFiles } from '../text/thread/service.js'
import type { TokenTableData } from '../text/token-table.js'
import { type PackedHeader, type PackedTokens, parseHeader, type Span } from './header.js'
import { checkHeader, dataStart, hasMagic, PREAMBLE_BYTES, readPreamble } from './preamble.js'

/** Read at a time, bytes. */
const CHUNK = 8 << 20

/** Whether this is a file that begins as packed models do. */
export async function isPacked(path: string): Promise<boolean> {
  if (!(await isFile(path))) return false
  try {
    const { handle, size } = await openFile(path)
    try {
      const begin = new Uint8Array(Math.min(size, PREAMBLE_BYTES))
      await readFully(path, handle, begin, 0)
      return hasMagic(begin)
    } finally {
      await handle.close()
    }
  } catch {
    return false // who opens it as something else says why
  }
}

/** An open packed model with a valid header. */
export class PackedFile {
  readonly file: string
  readonly header: PackedHeader
  /** Of the whole file, bytes. */
  readonly byteLength: number
  /** Where the arrays begin. */
  readonly dataStart: number
  /** With the checksum of the header, which has that of the arrays: two files with the same one are the same. */
  readonly preamble: Uint8Array
  readonly #handle: FileHandle

  private constructor(
    file: string,
    handle: FileHandle,
    preamble: Uint8Array,
    header: Uint8Array,
    byteLength: number,
  ) {
    this.file = file
    this.byteLength = byteLength
    this.preamble = preamble
    this.dataStart = dataStart(header.byteLength)
    this.header = parseHeader(file, header, byteLength - this.dataStart)
    this.#handle = handle
  }

  /**
   * Opens a packed model and checks its header against its checksum, the size of the file, and the config in it. No
   * weight is read. Close it when done.
   *
   * @throws FormatError; nothing stays open then
   */
  static async open(file: string): Promise<PackedFile> {
    const { handle, size } = await openFile(file)
    try {
      const preamble = new Uint8Array(PREAMBLE_BYTES)
      await readFully(file, handle, preamble, 0)
      const header = new Uint8Array(readPreamble(file, preamble, size))
      await readFully(file, handle, header, PREAMBLE_BYTES)
      checkHeader(file, preamble, header)
      return new PackedFile(file, handle, preamble, header, size)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Fills `into` with the bytes of an array. */
  async read([offset]: Span, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    for (let done = 0; done < into.byteLength; done += CHUNK) {
      signal?.throwIfAborted()
      const chunk = into.subarray(done, done + CHUNK)
      await readFully(this.file, this.#handle, chunk, this.dataStart + offset + done)
    }
  }

  /** The files about text, in memory that threads share. */
  async texts(): Promise<Map<keyof TextFiles, Uint8Array<SharedArrayBuffer>>> {
    const files = new Map<keyof TextFiles, Uint8Array<SharedArrayBuffer>>()
    for (const [name, span] of this.header.texts) {
      const bytes = new Uint8Array(new SharedArrayBuffer(span[1]))
      await this.read(span, bytes)
      files.set(name, bytes)
    }
    return files
  }

  /** What parsing these files has found; for this thread alone. */
  async textContents(): Promise<TextContents> {
    const { texts, tokens, hasTemplate } = this.header
    const template = texts.has('chat_template.jinja')
      ? 'chat_template.jinja'
      : 'tokenizer_config.json'
    return {
      tokens: tokens && (await this.#tokens(tokens)),
      hasTemplate,
      templateFile: join(this.file, template),
      eosTokenIds: [],
    }
  }

  async #tokens(tokens: PackedTokens): Promise<TokenTableData> {
    const { dropsFirstSpace, unitsPerToken } = tokens
    const bytes = new Uint8Array(tokens.bytes[1])
    const ends = new Uint32Array(Math.floor(tokens.ends[1] / Uint32Array.BYTES_PER_ELEMENT))
    await this.read(tokens.bytes, bytes)
    await this.read(tokens.ends, new Uint8Array(ends.buffer))
    return { bytes, ends, dropsFirstSpace, unitsPerToken: unitsPerToken ?? Infinity }
  }

  /**
   * Compares all arrays with their checksum.
   *
   * @param options `onProgress` counts bytes
   * @throws FormatError if they differ; the signal's reason
   */
  async verify({ signal, onProgress }: ReadOptions): Promise<void> {
    const total = this.byteLength - this.dataStart
    const hash = createHash('sha256')
    const chunk = new Uint8Array(Math.min(total, CHUNK))
    for (let done = 0; done < total; done += chunk.byteLength) {
      const part = chunk.subarray(0, total - done)
      await this.read([done, part.byteLength], part, signal)
      hash.update(part)
      onProgress?.(done + part.byteLength, total)
    }
    if (hash.digest('hex') === this.header.checksum) return
    throw new FormatError(this.file, 'the weights do not match their checksum: damaged')
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
