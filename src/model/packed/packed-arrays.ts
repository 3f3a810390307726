import { FormatError } from '../../errors.js'
import { lazily } from '../../lazily.js'
import type { FileMapping } from '../../native/file-mapping.js'
import { type Placed, viewAs } from '../../pool/memory.js'
import type { Pool } from '../../pool/pool.js'
import { arrayOf, type TensorData, type TensorType } from '../../tensor.js'
import type { ReadOptions } from '../checkpoint/tensor-file.js'
import type { Span } from './header.js'
import type { PackedFile } from './packed-file.js'
import { PREAMBLE_BYTES } from './preamble.js'

/** The arrays of a packed model where workers see them: mapped or, where files cannot be, read. */
export class PackedArrays {
  readonly #packed: PackedFile
  readonly #pool: Pool
  readonly #options: ReadOptions
  readonly #mapping: FileMapping | undefined
  #readBytes = 0

  /** @throws FormatError if the file cannot be mapped, or is another by now */
  constructor(pool: Pool, packed: PackedFile, options: ReadOptions) {
    this.#packed = packed
    this.#pool = pool
    this.#options = options
    this.#mapping = mapFile(pool, packed)
  }

  get isMapped(): boolean {
    return this.#mapping !== undefined
  }

  /** Each is asked for once. */
  async get<T extends TensorType>(type: T, span: Span): Promise<Placed<TensorData[T]>> {
    const [offset, byteLength] = span
    const length = byteLength / arrayOf[type].BYTES_PER_ELEMENT
    const mapping = this.#mapping
    if (mapping === undefined) {
      const array = viewAs(type, await this.#read(span), length)
      return { address: this.#pool.addressOf(array), array }
    }
    const at = this.#packed.dataStart + offset
    const placed = { address: mapping.address + at } as Placed<TensorData[T]>
    lazily(placed, 'array', () => viewAs(type, mapping.view(at, byteLength), length))
    return placed
  }

  async #read(span: Span): Promise<Uint8Array> {
    const { signal, onProgress } = this.#options
    const bytes = this.#pool.memory.bytes(span[1])
    await this.#packed.read(span, bytes, signal)
    this.#readBytes += bytes.byteLength
    onProgress?.(this.#readBytes, this.#packed.byteLength)
    return bytes
  }
}

/** The path may lead to another file than the one that was opened and checked. */
function mapFile(pool: Pool, { file, preamble, byteLength }: PackedFile): FileMapping | undefined {
  let mapping: FileMapping | undefined
  try {
    mapping = pool.native?.mapFile(file)
  } catch (error) {
    throw new FormatError(file, (error as Error).message, { cause: error })
  }
  if (mapping === undefined) return undefined
  const isSame =
    mapping.byteLength === byteLength &&
    Buffer.compare(mapping.view(0, PREAMBLE_BYTES), preamble) === 0
  if (isSame) return mapping
  throw new FormatError(file, 'was replaced while it was opened; load it again')
}
