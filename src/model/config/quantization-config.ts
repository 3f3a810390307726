import { INT4_GROUP } from '../../reference/int4.js'
import type { Fields } from '../json/fields.js'

/**
 * How a checkpoint stores its Linears: `w8a8` for int8 weights with float32 scales, `w4a8` if some of them are in four
 * bits.
 */
export type Quantization = 'w8a8' | 'w4a8' | 'none'

export const quantizations: readonly Quantization[] = ['w8a8', 'w4a8', 'none']

/** How the Linears of a `w4a8` checkpoint are stored, and the version of that. */
const W4A8 = {
  quant_method: 'dotpool',
  format: 'w4a8',
  version: 1,
  group_size: INT4_GROUP,
} as const

/**
 * Supports one compressed-tensors scheme, int8 weights per channel with dynamic int8 activations, and dotpool's own
 * `w4a8`.
 *
 * @param fields of `quantization_config`, where there is one
 * @throws FormatError for any other scheme
 */
export function parseQuantization(fields: Fields | undefined): Quantization {
  if (fields === undefined) return 'none'
  fields.only('quant_method', 'compressed-tensors', W4A8.quant_method)
  if (fields.text('quant_method') === W4A8.quant_method) {
    fields.only('format', W4A8.format)
    fields.only('version', W4A8.version)
    fields.only('group_size', W4A8.group_size)
    return 'w4a8'
  }
  fields.only('format', 'int-quantized')
  fields.only('kv_cache_scheme', undefined)
  for (const group of fields.required('config_groups').objects()) {
    const weights = group.required('weights')
    weights.only('num_bits', 8)
    weights.only('type', 'int')
    weights.only('symmetric', true)
    weights.only('strategy', 'channel', 'tensor')
    const activations = group.required('input_activations')
    activations.only('num_bits', 8)
    activations.only('type', 'int')
    activations.only('symmetric', true)
    activations.only('strategy', 'token')
    activations.only('dynamic', true)
    group.only('output_activations', undefined)
  }
  return 'w8a8'
}

/**
 * The `quantization_config` of a W8A8 checkpoint.
 *
 * @param ignore names of the Linears that stay float
 */
export function w8a8Config(ignore: readonly string[]): object {
  const int8 = { num_bits: 8, type: 'int', symmetric: true }
  return {
    quant_method: 'compressed-tensors',
    format: 'int-quantized',
    quantization_status: 'compressed',
    ignore,
    config_groups: {
      group_0: {
        targets: ['Linear'],
        weights: { ...int8, strategy: 'channel', dynamic: false, group_size: null },
        input_activations: { ...int8, strategy: 'token', dynamic: true },
        output_activations: null,
      },
    },
  }
}

/**
 * The `quantization_config` of a W4A8 checkpoint.
 *
 * @param ignore names of the Linears that stay float
 * @param bits of the weights of every other Linear, 4 or 8, by name
 */
export function w4a8Config(ignore: readonly string[], bits: ReadonlyMap<string, number>): object {
  return { ...W4A8, ignore, bits: Object.fromEntries(bits) }
}
