import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { LinearSpec } from '../config/parameters.js'
import { openAwq } from './awq.js'
import { openGptq } from './gptq.js'
import type { GroupedWeight } from './grouped-weight.js'
import { openPackQuantized } from './pack-quantized.js'
import { packedTensors } from './packed-tensors.js'
import { openQ4_0 } from './q4-0.js'

const openers = {
  'compressed-tensors': openPackQuantized,
  gptq: openGptq,
  awq: openAwq,
}

/**
 * Opens a weight that another tool packed in four bits, as the checkpoint's config says; undefined if it is stored
 * otherwise.
 *
 * @throws FormatError if a tensor is missing, of another shape or dtype, or contradicts the others
 */
export async function openPacked(
  reader: TensorReader,
  spec: LinearSpec,
): Promise<GroupedWeight | undefined> {
  const { packing } = reader.checkpoint.config
  if (packing === undefined || packedTensors(reader.checkpoint, spec) === undefined) {
    return undefined
  }
  return await openers[packing.method](reader, spec, packing)
}

/**
 * Opens a weight in four bits with a scale for each group of inputs: one that another tool packed, or in GGUF's Q4_0.
 *
 * @throws as {@link openPacked}
 */
export async function openGrouped(
  reader: TensorReader,
  spec: LinearSpec,
): Promise<GroupedWeight | undefined> {
  const packed = await openPacked(reader, spec)
  if (packed !== undefined) return packed
  return reader.checkpoint.entry(spec.weight).blocks === 'Q4_0' ? openQ4_0(reader, spec) : undefined
}
