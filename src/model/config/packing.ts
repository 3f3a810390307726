import type { Fields } from '../json/fields.js'

/** How another tool packed Linears in four bits, with float scales for groups of inputs. */
export interface Packing {
  readonly method: 'compressed-tensors' | 'gptq' | 'awq'
  /** How many inputs share a scale; undefined where all of an output channel do. Linears may differ. */
  readonly groupSizes: readonly (number | undefined)[]
  /** What is added to the zero points of the file. */
  readonly zeroOffset: number
}

/**
 * Supports weights of four bits, symmetric or not, by group or channel, for activations that are float (W4A16) or dynamic
 * int8 (W4A8); either runs with dynamic int8 ones here.
 *
 * @param groups the `config_groups` of compressed-tensors' `pack-quantized`
 * @throws FormatError for anything else
 */
export function parsePackQuantized(groups: readonly Fields[]): Packing {
  const groupSizes = new Set<number | undefined>()
  for (const group of groups) {
    group.only('format', 'pack-quantized', undefined)
    const weights = group.required('weights')
    weights.only('num_bits', 4)
    weights.only('type', 'int')
    weights.only('symmetric', true, false)
    weights.only('strategy', 'group', 'channel')
    const isGrouped = weights.text('strategy') === 'group'
    groupSizes.add(isGrouped ? weights.integer('group_size', 1) : undefined)
    const activations = group.object('input_activations')
    if (activations !== undefined) checkActivations(activations)
  }
  return { method: 'compressed-tensors', groupSizes: [...groupSizes], zeroOffset: 0 }
}

/** @throws FormatError for activations other than dynamic int8 ones */
export function checkActivations(activations: Fields): void {
  activations.only('num_bits', 8)
  activations.only('type', 'int')
  activations.only('symmetric', true)
  activations.only('strategy', 'token')
  activations.only('dynamic', true)
}

/** @throws FormatError for a GPTQ checkpoint of other bits, or in a layout for one kernel */
export function parseGptq(fields: Fields): Packing {
  fields.only('bits', 4)
  fields.only('checkpoint_format', 'gptq', 'gptq_v2', undefined)
  fields.only('is_marlin_format', false, undefined)
  // the first version stores zero points less 1
  const zeroOffset = fields.text('checkpoint_format') === 'gptq_v2' ? 0 : 1
  return { method: 'gptq', groupSizes: [groupSizeOf(fields)], zeroOffset }
}

/** @throws FormatError for an AWQ checkpoint of other bits, or in another layout than `gemm` */
export function parseAwq(fields: Fields): Packing {
  fields.only('bits', 4)
  fields.only('version', 'gemm', 'GEMM', undefined)
  return { method: 'awq', groupSizes: [groupSizeOf(fields)], zeroOffset: 0 }
}

/** -1 stands for the whole channel. */
function groupSizeOf(fields: Fields): number | undefined {
  return fields.values.group_size === -1 ? undefined : fields.integer('group_size', 1)
}
