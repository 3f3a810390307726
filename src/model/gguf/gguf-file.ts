import type { FileHandle } from 'node:fs/promises'
import { FormatError } from '../../errors.js'
import { type OpenFile, openFile, readFully } from '../json/files.js'
import { type GgufHeader, type GgufTensor, parseHeader } from './header.js'
import type { Metadata } from './metadata.js'

/** Bytes of the first read; most headers are smaller. */
const FIRST_READ = 8 << 20

/** Limits what a hostile file can make us parse; the largest published headers have some 20 MB. */
const MAX_HEADER = 40_000_000

/** An open GGUF file with a valid header: one model, or a part of one. */
export class GgufFile {
  readonly file: string
  readonly handle: FileHandle
  /** Of the whole file, bytes. */
  readonly size: number
  readonly metadata: Metadata
  /** By llama.cpp's names, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, GgufTensor>
  /** The bytes of the header. */
  readonly header: Uint8Array

  private constructor(
    file: string,
    { handle, size }: OpenFile,
    header: GgufHeader,
    bytes: Uint8Array,
  ) {
    this.file = file
    this.handle = handle
    this.size = size
    this.metadata = header.metadata
    this.tensors = header.tensors
    this.header = bytes.subarray(0, header.byteLength)
  }

  /**
   * Opens a file and checks its whole header. Close the handle when done.
   *
   * @throws FormatError if the file cannot be read or breaks the format; nothing stays open then
   */
  static async open(file: string): Promise<GgufFile> {
    const opened = await openFile(file)
    try {
      return await GgufFile.#parse(file, opened)
    } catch (error) {
      await opened.handle.close()
      throw error
    }
  }

  static async #parse(file: string, opened: OpenFile): Promise<GgufFile> {
    const { handle, size } = opened
    for (let wanted = FIRST_READ; ; ) {
      const bytes = new Uint8Array(Math.min(size, wanted))
      await readFully(file, handle, bytes, 0)
      const header = parseHeader(file, bytes, size)
      if (typeof header !== 'number') return new GgufFile(file, opened, header, bytes)
      if (header > MAX_HEADER) {
        throw new FormatError(file, `a header of more than ${MAX_HEADER} bytes`)
      }
      wanted = Math.min(Math.max(header, 2 * bytes.byteLength), MAX_HEADER)
    }
  }
}
