import { FormatError } from '../../errors.js'
import { type ReadOptions, type TensorEntry, TensorFile } from '../checkpoint/tensor-file.js'
import { readFully } from '../json/files.js'
import type { GgufFile } from './gguf-file.js'
import type { GgufTensor } from './header.js'
import { huggingFaceName, isRotated, ROPE_FACTORS } from './tensor-names.js'
import type { TensorType } from './tensor-types.js'

/** Bytes of one read, unless one row or head has more. */
const CHUNK = 1 << 20

interface Entry extends TensorEntry {
  readonly type: TensorType
  /** Position of the tensor in the file. */
  readonly begin: number
  /** Elements that are contiguous in the file and here; a matrix has one such row after another. */
  readonly rowLength: number
  /** Rows of a head, which the file permutes; 1 where all rows are in order. */
  readonly headDim: number
}

/**
 * The tensors of a GGUF file in Hugging Face's form: under its names, blocks dequantised to float32, rows of q and k in
 * its order.
 */
export class GgufTensors extends TensorFile<Entry> {
  /**
   * @param headDim D, where rows of q and k are in the order of llama.cpp's Llama, which rotates rows 2i
   *   and 2i + 1 of a head, while Hugging Face rotates rows i and i + D/2
   */
  constructor({ file, handle, tensors }: GgufFile, headDim: number | undefined) {
    const entries = new Map<string, Entry>()
    let dataBytes = 0
    for (const [name, tensor] of tensors) {
      if (name === ROPE_FACTORS) continue
      const unit = headDim !== undefined && isRotated(name) ? headDim : 1
      entries.set(huggingFaceName(name), toEntry(file, name, tensor, unit))
      dataBytes += tensor.storedBytes
    }
    super(file, handle, entries, dataBytes)
  }

  override async readBytes(
    name: string,
    begin: number,
    into: Uint8Array,
    { signal, onProgress }: ReadOptions = {},
  ): Promise<void> {
    const entry = this.openEntry(name)
    const rowBytes = entry.rowLength * itemSizes[entry.dtype as Dtype]
    const step = entry.headDim * Math.max(1, Math.floor(CHUNK / (rowBytes * entry.headDim)))
    const rows = entry.byteLength / rowBytes
    const end = begin + into.byteLength
    const firstRow = Math.floor(begin / rowBytes / entry.headDim) * entry.headDim
    for (let row = firstRow; row * rowBytes < end; row += step) {
      this.openEntry(name)
      signal?.throwIfAborted()
      const values = await this.#readRows(entry, row, Math.min(row + step, rows))
      const from = Math.max(begin - row * rowBytes, 0)
      const part = values.subarray(from, end - row * rowBytes)
      into.set(part, row * rowBytes + from - begin)
      onProgress?.(row * rowBytes + from - begin + part.byteLength, into.byteLength)
    }
  }

  override async readBlocks(name: string, firstRow: number, lastRow: number): Promise<Uint8Array> {
    const entry = this.openEntry(name)
    if (entry.blocks === undefined) return await super.readBlocks(name, firstRow, lastRow)
    const { headDim } = entry
    const first = Math.floor(firstRow / headDim) * headDim
    const rows = await this.#readStored(entry, first, Math.ceil(lastRow / headDim) * headDim)
    const rowBytes = storedRowBytes(entry)
    return rows.subarray((firstRow - first) * rowBytes, (lastRow - first) * rowBytes)
  }

  /** Rows [first, last) as `dtype`; whole heads where the file permutes them. */
  async #readRows(entry: Entry, first: number, last: number): Promise<Uint8Array> {
    const { type, rowLength } = entry
    const stored = await this.#readStored(entry, first, last)
    if (type.dequantize === undefined) return stored
    const values = new Float32Array((last - first) * rowLength)
    type.dequantize(stored, values)
    return new Uint8Array(values.buffer)
  }

  /** The same rows in Hugging Face's order, but as the file stores each. */
  async #readStored(entry: Entry, first: number, last: number): Promise<Uint8Array> {
    const rowBytes = storedRowBytes(entry)
    const stored = new Uint8Array((last - first) * rowBytes)
    await readFully(this.file, this.handle, stored, entry.begin + first * rowBytes)
    return entry.headDim === 1 ? stored : halvesFromPairs(stored, rowBytes, entry.headDim)
  }
}

function storedRowBytes({ type, rowLength }: Entry): number {
  return (rowLength / type.blockSize) * type.blockBytes
}

const itemSizes = { F32: 4, F16: 2, BF16: 2 }
type Dtype = keyof typeof itemSizes

function toEntry(file: string, name: string, tensor: GgufTensor, headDim: number): Entry {
  const { type, dims, begin } = tensor
  const elements = dims.reduce((product, dim) => product * dim)
  // each element of a bias belongs to a row of its weight
  const rowLength = dims.length === 1 && headDim > 1 ? 1 : dims[dims.length - 1]
  if (rowLength % type.blockSize !== 0 || (elements / rowLength) % headDim !== 0) {
    const problem = `${type.name} of shape [${dims}] has no whole heads of ${headDim} rows`
    throw new FormatError(file, `tensor ${name}: ${problem}`)
  }
  const byteLength = elements * itemSizes[type.dtype]
  const blocks = type.dequantize === undefined ? undefined : type.name
  return { dtype: type.dtype, dims, byteLength, blocks, type, begin, rowLength, headDim }
}

/** Row 2i + h of each head becomes row i + h D/2. */
function halvesFromPairs(rows: Uint8Array, rowBytes: number, headDim: number): Uint8Array {
  const out = new Uint8Array(rows.byteLength)
  for (let head = 0; head < rows.byteLength; head += headDim * rowBytes) {
    for (let i = 0; i < headDim; i++) {
      const from = head + (2 * (i % (headDim / 2)) + Math.floor(i / (headDim / 2))) * rowBytes
      out.set(rows.subarray(from, from + rowBytes), head + i * rowBytes)
    }
  }
  return out
}
