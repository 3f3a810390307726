import { FormatError } from '../../errors.js'
import { Cursor, NeedsMore } from './cursor.js'
import { Metadata, readValue, type Value } from './metadata.js'
import { type TensorType, tensorType } from './tensor-types.js'

/*
 * The header of a GGUF file, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: fields, then the position of
 * each tensor in the data that follows. Numbers are little-endian. Tensors follow each other, each at the next multiple
 * of the alignment.
 */

const MAGIC = 0x46554747
const VERSIONS = [2, 3]
const DEFAULT_ALIGNMENT = 32
const MAX_ALIGNMENT = 1 << 20
const MAX_DIMS = 4

/** The fewest bytes of a field and of a tensor's entry; they limit how many a file can have. */
const LEAST_FIELD = 13
const LEAST_ENTRY = 32

/** The position of a tensor, and how it is stored. */
export interface GgufTensor {
  readonly type: TensorType
  /** In Hugging Face's order: the innermost last. */
  readonly dims: readonly number[]
  /** Bytes from the start of the file. */
  readonly begin: number
  readonly storedBytes: number
}

export interface GgufHeader {
  readonly metadata: Metadata
  /** By llama.cpp's names, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, GgufTensor>
  /** Of the header. */
  readonly byteLength: number
}

/**
 * Parses the header of a file.
 *
 * @param file named in errors
 * @param bytes the file's first ones
 * @param size of the whole file, bytes
 * @returns how many bytes must be read instead, if these do not hold the whole header
 * @throws FormatError naming the file, and the field or the tensor
 */
export function parseHeader(file: string, bytes: Uint8Array, size: number): GgufHeader | number {
  try {
    return parse(file, new Cursor(file, bytes, size))
  } catch (error) {
    if (error instanceof NeedsMore) return error.bytes
    throw error
  }
}

function parse(file: string, cursor: Cursor): GgufHeader {
  checkVersion(file, cursor)
  const tensorCount = readCount(file, cursor, 'tensors', LEAST_ENTRY)
  const fieldCount = readCount(file, cursor, 'fields', LEAST_FIELD)
  const values = new Map<string, Value>()
  for (let i = 0; i < fieldCount; i++) {
    const key = cursor.string(`the key of field ${i}`)
    if (values.has(key)) throw new FormatError(file, `field ${key} appears twice`)
    values.set(key, readValue(file, cursor, key))
  }
  const metadata = new Metadata(file, values)
  const tensors = parseTensors(file, cursor, tensorCount, alignmentOf(metadata))
  return { metadata, tensors, byteLength: cursor.position }
}

function checkVersion(file: string, cursor: Cursor): void {
  if (cursor.left < 4 || cursor.u32('the magic number') !== MAGIC) {
    throw new FormatError(file, 'is not a GGUF file: it does not begin with "GGUF"')
  }
  const version = cursor.u32('the version')
  if (VERSIONS.includes(version)) return
  const problem = version % 0x10000 === 0 ? 'big-endian GGUF' : `GGUF version ${version}`
  throw new FormatError(file, `${problem} is not supported, only little-endian 2 and 3`)
}

function readCount(file: string, cursor: Cursor, what: string, leastBytes: number): number {
  const count = cursor.u64(`the number of ${what}`)
  if (count * leastBytes <= cursor.left) return count
  throw new FormatError(file, `${count} ${what} are more than the file can hold`)
}

function alignmentOf(metadata: Metadata): number {
  const key = 'general.alignment'
  const alignment = metadata.integer(key, 1, DEFAULT_ALIGNMENT)
  if (alignment <= MAX_ALIGNMENT && Number.isInteger(Math.log2(alignment))) return alignment
  throw new FormatError(metadata.file, `${key} ${alignment} is not a power of two up to 2^20`)
}

interface Entry {
  readonly type: TensorType
  readonly dims: number[]
  /** Bytes from the start of the data. */
  readonly offset: number
  readonly storedBytes: number
}

function parseTensors(
  file: string,
  cursor: Cursor,
  count: number,
  alignment: number,
): Map<string, GgufTensor> {
  const entries = new Map<string, Entry>()
  for (let i = 0; i < count; i++) {
    const name = cursor.string(`the name of tensor ${i}`)
    if (entries.has(name)) throw new FormatError(file, `tensor ${name} appears twice`)
    entries.set(name, parseEntry(file, cursor, name))
  }
  const dataStart = alignUp(cursor.position, alignment)
  const size = cursor.position + cursor.left
  const tensors = new Map<string, GgufTensor>()
  let end = 0
  for (const [name, { offset, ...tensor }] of entries) {
    if (offset !== end) {
      const problem = `begins at ${offset} of the data, not at ${end}, where the tensor before it ends`
      throw new FormatError(file, `tensor ${name}: ${problem}`)
    }
    const begin = dataStart + offset
    if (begin + tensor.storedBytes > size) {
      const problem = `ends at ${begin + tensor.storedBytes} of ${size} bytes`
      throw new FormatError(file, `truncated: tensor ${name} ${problem}`)
    }
    end = alignUp(offset + tensor.storedBytes, alignment)
    tensors.set(name, { ...tensor, begin })
  }
  return tensors
}

function parseEntry(file: string, cursor: Cursor, name: string): Entry {
  const wrong = (problem: string) => new FormatError(file, `tensor ${name}: ${problem}`)
  const dimCount = cursor.u32(`the number of dimensions of ${name}`)
  if (dimCount < 1 || dimCount > MAX_DIMS) throw wrong(`${dimCount} dimensions`)
  const dims: number[] = []
  let elements = 1
  for (let i = 0; i < dimCount; i++) {
    const dim = cursor.u64(`the shape of ${name}`)
    elements *= dim
    dims.unshift(dim)
  }
  if (elements < 1 || elements > Number.MAX_SAFE_INTEGER / 8) {
    throw wrong(`shape [${dims}] is empty or too large`)
  }
  const type = tensorType(cursor.u32(`the type of ${name}`), (problem) => wrong(problem))
  const rowLength = dims[dimCount - 1]
  if (rowLength % type.blockSize !== 0) {
    throw wrong(
      `rows of ${rowLength} are not a multiple of ${type.name}'s blocks of ${type.blockSize}`,
    )
  }
  const offset = cursor.u64(`the offset of ${name}`)
  return { type, dims, offset, storedBytes: (elements / type.blockSize) * type.blockBytes }
}

function alignUp(position: number, alignment: number): number {
  return Math.ceil(position / alignment) * alignment
}
