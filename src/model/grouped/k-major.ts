import { FormatError } from '../../errors.js'
import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { LinearSpec } from '../config/parameters.js'
import { int32Of, PER_WORD, transpose } from './words.js'

/*
 * GPTQ and AWQ store matrices [K, N], the outputs of one input side by side. They are read some rows at a time and
 * turned to nibbles [N, K], which take as much memory as in the file.
 */

/** Bytes of rows that are read together: few enough to stay in a cache while they are transposed. */
const BLOCK_BYTES = 1 << 18

/** Rows [first, first + count) of a matrix of int32. */
export interface RowBlock {
  readonly first: number
  readonly count: number
  /** int32 [count, columns] */
  readonly words: Int32Array
}

/**
 * Reads a matrix some rows at a time, into the same memory.
 *
 * @throws FormatError unless it is I32 of shape `dims`
 */
export async function* rowBlocks(
  reader: TensorReader,
  name: string,
  dims: readonly [rows: number, columns: number],
): AsyncGenerator<RowBlock, void, void> {
  reader.checkDtype(name, ['I32'])
  const [rows, columns] = dims
  const most = Math.min(rows, Math.max(1, Math.floor(BLOCK_BYTES / (4 * columns))))
  const words = new Int32Array(most * columns)
  for (let first = 0; first < rows; first += most) {
    const count = Math.min(most, rows - first)
    const bytes = new Uint8Array(words.buffer, 0, 4 * count * columns)
    await reader.readRows(name, dims, first, first + count, bytes)
    yield { first, count, words }
  }
}

/** Scales of groups [G, N] as float32 [N, G], in shared memory. */
export async function readScales(
  reader: TensorReader,
  name: string,
  groups: number,
  outFeatures: number,
): Promise<Float32Array> {
  const stored = await reader.readFloat(name, [groups, outFeatures])
  const scales = new Float32Array(new SharedArrayBuffer(stored.byteLength))
  return transpose(stored, outFeatures, scales)
}

/**
 * Zero points I32 [G, N / 8] as uint8 [N, G].
 *
 * @param nibbleOf the nibble of output channel i of the eight
 */
export async function readZeros(
  reader: TensorReader,
  name: string,
  groups: number,
  outFeatures: number,
  nibbleOf: (word: number, i: number) => number,
): Promise<Uint8Array> {
  const columns = outFeatures / PER_WORD
  const words = int32Of(await reader.readStored(name, ['I32'], [groups, columns]))
  return Uint8Array.from({ length: outFeatures * groups }, (_, at) => {
    const [n, group] = [Math.floor(at / groups), at % groups]
    return nibbleOf(words[group * columns + Math.floor(n / PER_WORD)], n % PER_WORD)
  })
}

/** @throws FormatError unless a size of the Linear is a multiple of 8, which an int32 holds */
export function checkWhole(
  { checkpoint }: TensorReader,
  { name }: LinearSpec,
  kind: 'inputs' | 'outputs',
  size: number,
): void {
  if (size % PER_WORD === 0) return
  const file = checkpoint.fileOf(`${name}.qweight`)
  throw new FormatError(file, `${name}: ${size} ${kind} are not a multiple of ${PER_WORD}`)
}

/**
 * Some versions wrote a bias of zeros to every Linear.
 *
 * @throws FormatError for a bias other than of zeros where the model has none
 */
export async function checkNoBias(
  reader: TensorReader,
  { name, bias, outFeatures }: LinearSpec,
): Promise<void> {
  const tensor = `${name}.bias`
  if (bias || !reader.checkpoint.has(tensor)) return
  const values = await reader.readFloat(tensor, [outFeatures])
  if (values.every((value) => value === 0)) return
  const problem = `tensor ${tensor}: expected zeros, since the model has no bias here`
  throw new FormatError(reader.checkpoint.fileOf(tensor), problem)
}
