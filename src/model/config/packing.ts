import type { Fields } from '../json/fields.js'

/** How another tool packed Linears in four bits, with float scales for groups of inputs. */
export interface Packing {
  readonly method: 'compressed-tensors'
  /** How many inputs share a scale; undefined where all of an output channel do. Linears may differ. */
  readonly groupSizes: readonly (number | undefined)[]
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
  return { method: 'compressed-tensors', groupSizes: [...groupSizes] }
}

/** @throws FormatError for activations other than dynamic int8 ones */
export function checkActivations(activations: Fields): void {
  activations.only('num_bits', 8)
  activations.only('type', 'int')
  activations.only('symmetric', true)
  activations.only('strategy', 'token')
  activations.only('dynamic', true)
}
