import { FormatError } from '../../errors.js'
import { isObject, show } from '../json/fields.js'
import type { TensorEntry } from './tensor-file.js'

/*
 * The header of a safetensors file, https://github.com/huggingface/safetensors#format: a JSON object of tensors, each
 * with dtype, shape and the [begin, end) of its bytes in the data that follows. The ranges tile the data: no gap, no
 * overlap, nothing left over.
 */

/** Bytes per element of every dtype of the format. */
export const itemSizes: ReadonlyMap<string, number> = new Map([
  ['BOOL', 1],
  ['U8', 1],
  ['I8', 1],
  ['F8_E4M3', 1],
  ['F8_E5M2', 1],
  ['F8_E8M0', 1],
  ['U16', 2],
  ['I16', 2],
  ['F16', 2],
  ['BF16', 2],
  ['U32', 4],
  ['I32', 4],
  ['F32', 4],
  ['U64', 8],
  ['I64', 8],
  ['F64', 8],
  ['C64', 8],
])

/** The position of a tensor in the data after the header. */
export interface SafetensorsEntry extends TensorEntry {
  /** Bytes from the start of the data. */
  readonly begin: number
}

/**
 * Checks a parsed header against the format and the size of the data.
 *
 * @param file named in errors
 * @param header the parsed JSON
 * @param dataBytes how many bytes follow the header
 * @returns the tensors by name, in the order of their bytes
 * @throws FormatError naming file and tensor
 */
export function parseHeader(
  file: string,
  header: unknown,
  dataBytes: number,
): Map<string, SafetensorsEntry> {
  if (!isObject(header)) throw new FormatError(file, 'the header is not an object')
  const entries: [string, SafetensorsEntry][] = []
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') checkMetadata(file, value)
    else entries.push([name, parseEntry(file, name, value)])
  }
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.byteLength - b.byteLength)
  checkTiling(file, entries, dataBytes)
  return new Map(entries)
}

function checkMetadata(file: string, value: unknown): void {
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== 'string')) {
    throw new FormatError(file, '__metadata__ is not an object of strings')
  }
}

function parseEntry(file: string, name: string, value: unknown): SafetensorsEntry {
  const wrong = (problem: string) => new FormatError(file, `tensor ${name}: ${problem}`)
  if (!isObject(value)) throw wrong('its entry is not an object')
  const { dtype, shape, data_offsets: offsets } = value
  const itemSize = itemSizes.get(dtype as string)
  if (itemSize === undefined) throw wrong(`unknown dtype ${show(dtype)}`)
  if (!isSizes(shape)) throw wrong('shape is not a list of non-negative integers')
  if (!isSizes(offsets) || offsets.length !== 2) throw wrong('data_offsets is not [begin, end]')
  const [begin, end] = offsets
  if (end < begin) throw wrong(`data_offsets [${begin}, ${end}] run backwards`)
  const byteLength = shape.reduce((bytes, d) => {
    if (bytes * d > Number.MAX_SAFE_INTEGER) throw wrong(`shape [${shape}] is too large`)
    return bytes * d
  }, itemSize)
  if (end - begin !== byteLength) {
    throw wrong(
      `${dtype} of shape [${shape}] takes ${byteLength} bytes, data_offsets span ${end - begin}`,
    )
  }
  return { dtype: dtype as string, dims: shape, begin, byteLength }
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((d) => Number.isSafeInteger(d) && d >= 0)
}

function checkTiling(file: string, entries: [string, SafetensorsEntry][], dataBytes: number): void {
  let end = 0
  for (const [name, { begin, byteLength }] of entries) {
    if (begin !== end) {
      const problem = begin < end ? 'overlaps the tensor before it' : 'leaves a gap before it'
      throw new FormatError(file, `tensor ${name}: begins at ${begin}, not at ${end}: ${problem}`)
    }
    end += byteLength
    if (end > dataBytes) {
      throw new FormatError(file, `tensor ${name}: ends at ${end} of ${dataBytes} bytes of data`)
    }
  }
  if (end < dataBytes) {
    throw new FormatError(
      file,
      `${dataBytes - end} bytes after the last tensor belong to no tensor`,
    )
  }
}
