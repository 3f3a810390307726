import type { Fields } from '../json/fields.js'

/** How a checkpoint stores its Linears: `w8a8` for int8 weights with float32 scales. */
export type Quantization = 'w8a8' | 'none'

/**
 * Supports one compressed-tensors scheme: int8 weights per channel with dynamic int8 activations.
 *
 * @param fields of `quantization_config`, where there is one
 * @throws FormatError for any other scheme
 */
export function parseQuantization(fields: Fields | undefined): Quantization {
  if (fields === undefined) return 'none'
  fields.only('quant_method', 'compressed-tensors')
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
