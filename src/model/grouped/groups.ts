import { FormatError } from '../../errors.js'
import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { Packing } from '../config/packing.js'
import { int32Of } from './words.js'

/**
 * The group of each input where groups are of consecutive ones.
 *
 * @param name the tensor of the scales, for errors
 * @param groups G
 * @param inFeatures K
 * @throws FormatError unless one of the group sizes gives so many groups
 */
export function consecutiveGroups(
  { checkpoint }: TensorReader,
  name: string,
  groups: number,
  inFeatures: number,
  { groupSizes }: Packing,
): Int32Array {
  for (const size of groupSizes) {
    const width = size ?? inFeatures
    if (Math.ceil(inFeatures / width) !== groups) continue
    return Int32Array.from({ length: inFeatures }, (_, k) => Math.floor(k / width))
  }
  const sizes = groupSizes.map((size) => size ?? 'all').join(' or ')
  const problem = `tensor ${name}: ${groups} groups of ${inFeatures} inputs, expected groups of ${sizes}`
  throw new FormatError(checkpoint.fileOf(name), problem)
}

/**
 * Reads the group of each input, where they were ordered by activations.
 *
 * @param name of I32 [K]
 * @returns undefined where the tensor is filled with -1: groups are of consecutive inputs
 * @throws FormatError for one out of range
 */
export async function readGroups(
  reader: TensorReader,
  name: string,
  groups: number,
  inFeatures: number,
): Promise<Int32Array | undefined> {
  const groupOf = int32Of(await reader.readStored(name, ['I32'], [inFeatures]))
  if (groupOf.every((group) => group === -1)) return undefined
  const bad = groupOf.findIndex((group) => group < 0 || group >= groups)
  if (bad < 0) return groupOf
  const problem = `tensor ${name}: group ${groupOf[bad]} of input ${bad}, expected one of ${groups}`
  throw new FormatError(reader.checkpoint.fileOf(name), problem)
}
