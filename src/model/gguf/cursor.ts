import { isUtf8 } from 'node:buffer'
import { FormatError } from '../../errors.js'

/** The header needs more of the file: its first `bytes`, at least. */
export class NeedsMore extends Error {
  readonly bytes: number

  constructor(bytes: number) {
    super()
    this.bytes = bytes
  }
}

/** Reads little-endian values one after the other from the first bytes of a file, within its bounds. */
export class Cursor {
  /** Position of the next value, bytes from the start of the file. */
  position = 0
  readonly #file: string
  readonly #bytes: Buffer
  readonly #size: number

  /**
   * @param file named in errors
   * @param bytes the file's first ones
   * @param size of the whole file, bytes
   */
  constructor(file: string, bytes: Uint8Array, size: number) {
    this.#file = file
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#size = size
  }

  /** How many bytes of the file follow. */
  get left(): number {
    return this.#size - this.position
  }

  u32(what: string): number {
    return this.#bytes.readUInt32LE(this.#skip(4, what))
  }

  /** As a double, exact below 2^53 and never below that otherwise. */
  u64(what: string): number {
    return Number(this.#bytes.readBigUInt64LE(this.#skip(8, what)))
  }

  /** UTF-8, after its length. */
  string(what: string): string {
    const length = this.u64(`the length of ${what}`)
    const start = this.#skip(length, what)
    const text = this.#bytes.toString('utf8', start, this.position)
    // invalid bytes decode to U+FFFD, which is rare enough to check again
    if (text.includes('\ufffd') && !isUtf8(this.#bytes.subarray(start, this.position))) {
      throw new FormatError(this.#file, `${what} is not valid UTF-8`)
    }
    return text
  }

  /**
   * Skips strings, and decodes them later on request: a vocabulary has hundreds of thousands.
   *
   * @returns a function that decodes them
   * @throws FormatError, as does the returned function
   */
  strings(count: number, what: string): () => string[] {
    const start = this.position
    for (let i = 0; i < count; i++) {
      // two halves: a bigint for each would take most of the time
      const at = this.#skip(8, what)
      const length = this.#bytes.readUInt32LE(at) + this.#bytes.readUInt32LE(at + 4) * 2 ** 32
      this.#skip(length, what)
    }
    return () => {
      const cursor = new Cursor(this.#file, this.#bytes, this.#size)
      cursor.position = start
      return Array.from({ length: count }, (_, i) => cursor.string(`${what}[${i}]`))
    }
  }

  /** The next bytes, a copy. */
  take(length: number, what: string): Uint8Array<ArrayBuffer> {
    const start = this.#skip(length, what)
    return new Uint8Array(this.#bytes.subarray(start, this.position))
  }

  /** Where they begin. */
  #skip(length: number, what: string): number {
    const start = this.position
    if (length > this.left) {
      const problem = `truncated: ${what} takes ${length} bytes at ${start}, of ${this.#size}`
      throw new FormatError(this.#file, problem)
    }
    if (start + length > this.#bytes.byteLength) throw new NeedsMore(start + length)
    this.position += length
    return start
  }
}
