import { FormatError } from '../../errors.js'
import { INT4_OFFSET } from '../../reference/int4.js'
import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { Packing } from '../config/packing.js'
import type { LinearSpec } from '../config/parameters.js'
import type { GroupedWeight } from './grouped-weight.js'
import { consecutiveGroups, readGroups } from './groups.js'
import { NibbleRows } from './nibble-rows.js'
import { columnsOf } from './packed-tensors.js'
import { int32Of, nibbleOf, PER_WORD } from './words.js'

/*
 * compressed-tensors' `pack-quantized` with four bits, of a Linear [N, K]:
 *
 *   weight_packed      I32 [N, ceil(K / 8)]: 8 inputs an int32, the first in the lowest bits, each plus 8
 *   weight_scale       float [N, G]
 *   weight_zero_point  if not symmetric: I32 [ceil(N / 8), G], 8 output channels an int32, each plus 8; or I8 [N, G]
 *   weight_g_idx       I32 [K], the group of each input, if these were ordered by activations
 *   weight_shape       N and K
 */

/** @throws FormatError if a tensor is missing, of another shape or dtype, or contradicts the others */
export async function openPackQuantized(
  reader: TensorReader,
  spec: LinearSpec,
  packing: Packing,
): Promise<GroupedWeight> {
  const { name, inFeatures: K, outFeatures: N } = spec
  const { checkpoint } = reader
  const [packed, scale] = [`${name}.weight_packed`, `${name}.weight_scale`]
  const words = Math.ceil(K / PER_WORD)
  reader.checkDtype(packed, ['I32'])
  checkpoint.checkShape(packed, [N, words])
  await checkStoredShape(reader, spec)
  const groups = columnsOf(checkpoint, scale)
  const scales = await reader.readFloat(scale, [N, groups])
  const indices = `${name}.weight_g_idx`
  const ordered = checkpoint.has(indices) ? await readGroups(reader, indices, groups, K) : undefined
  const rowBytes = 4 * words
  return new NibbleRows(N, {
    groupOf: ordered ?? consecutiveGroups(reader, scale, groups, K, packing),
    scales,
    zeros: await readZeros(reader, spec, groups),
    rowBytes,
    nibbles: async (first, last) => {
      const rows = new Uint8Array((last - first) * rowBytes)
      await reader.readRows(packed, [N, words], first, last, rows)
      return rows
    },
  })
}

/** Zero points as of unsigned nibbles: uint8 [N, G]. */
async function readZeros(
  reader: TensorReader,
  { name, outFeatures: N }: LinearSpec,
  groups: number,
): Promise<Uint8Array | undefined> {
  const tensor = `${name}.weight_zero_point`
  if (!reader.checkpoint.has(tensor)) return undefined
  if (reader.checkpoint.dtype(tensor) === 'I8') {
    const stored = await reader.readStored(tensor, ['I8'], [N, groups])
    const zeros = stored.map((zero) => zero + INT4_OFFSET)
    const bad = zeros.findIndex((zero) => zero > 15)
    if (bad < 0) return zeros
    const problem = `tensor ${tensor}: element ${bad} is not in [-8, 7]`
    throw new FormatError(reader.checkpoint.fileOf(tensor), problem)
  }
  const dims = [Math.ceil(N / PER_WORD), groups]
  const words = int32Of(await reader.readStored(tensor, ['I32', 'I8'], dims))
  return Uint8Array.from({ length: N * groups }, (_, i) => {
    const [n, group] = [Math.floor(i / groups), i % groups]
    return nibbleOf(words[Math.floor(n / PER_WORD) * groups + group], n % PER_WORD)
  })
}

/** Checks `weight_shape`, if there is one, against the model's. */
async function checkStoredShape(
  reader: TensorReader,
  { name, inFeatures: K, outFeatures: N }: LinearSpec,
): Promise<void> {
  const tensor = `${name}.weight_shape`
  if (!reader.checkpoint.has(tensor)) return
  const { buffer } = await reader.readStored(tensor, ['I64', 'I32'], [2])
  const isWide = reader.checkpoint.dtype(tensor) === 'I64'
  const shape = [...(isWide ? new BigInt64Array(buffer) : new Int32Array(buffer))].map(Number)
  if (shape[0] === N && shape[1] === K) return
  const problem = `tensor ${tensor}: expected the shape [${N},${K}], got [${shape}]`
  throw new FormatError(reader.checkpoint.fileOf(tensor), problem)
}
