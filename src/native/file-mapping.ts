/** What keeps each mapping: the buffers of its views. */
const mappings = new WeakMap<ArrayBuffer, FileMapping>()

/**
 * A file in memory, read-only: to write to it ends the process. It is unmapped once neither this object nor any buffer of
 * {@link view} is referenced, as all other memory of weights is freed: so nobody can read it any more.
 */
export class FileMapping {
  /** Of the file. */
  readonly byteLength: number
  /** Of the first byte. */
  readonly address: number
  readonly #bufferAt: (address: number, byteLength: number) => ArrayBuffer

  /** @param bufferAt makes a buffer over memory of the mapping, which it does not keep */
  constructor(
    address: number,
    byteLength: number,
    bufferAt: (address: number, byteLength: number) => ArrayBuffer,
  ) {
    this.address = address
    this.byteLength = byteLength
    this.#bufferAt = bufferAt
  }

  /** Bytes of the file, in a buffer of their own. Not the same ones twice: V8 wants one buffer for them at a time. */
  view(offset: number, byteLength: number): Uint8Array<ArrayBuffer> {
    const buffer = this.#bufferAt(this.address + offset, byteLength)
    mappings.set(buffer, this)
    return new Uint8Array(buffer)
  }
}
