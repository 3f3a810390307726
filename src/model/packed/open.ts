import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { LinearSpec } from '../config/parameters.js'
import { openAwq } from './awq.js'
import { openGptq } from './gptq.js'
import type { GroupedWeight } from './grouped-weight.js'
import { openPackQuantized } from './pack-quantized.js'
import { packedTensors } from './packed-tensors.js'

const openers = {
  'compressed-tensors': openPackQuantized,
  gptq: openGptq,
  awq: openAwq,
}

/**
 * Opens a weight that another tool stored in four bits; undefined if it is stored otherwise.
 *
 * @throws FormatError if a tensor is missing, of another shape or dtype, or contradicts the others
 */
export async function openGrouped(
  reader: TensorReader,
  spec: LinearSpec,
): Promise<GroupedWeight | undefined> {
  const { packing } = reader.checkpoint.config
  if (packing === undefined || packedTensors(reader.checkpoint, spec) === undefined) {
    return undefined
  }
  return await openers[packing.method](reader, spec, packing)
}
