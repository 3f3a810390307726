import { INT4_GROUP } from '../../reference/int4.js'
import type { Fields } from '../json/fields.js'
import {
  checkActivations,
  type Packing,
  parseAwq,
  parseGptq,
  parsePackQuantized,
} from './packing.js'

/**
 * How a checkpoint's Linears run: `w8a8` for int8 weights with float32 scales, `w4a8` if some of them are in four bits.
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

/** How a checkpoint stores its Linears. */
export interface StoredQuantization {
  readonly quantization: Quantization
  /** Where another tool packed them in four bits, how. */
  readonly packing: Packing | undefined
}

/**
 * Supports two formats of compressed-tensors, int8 weights per channel with dynamic int8 activations, and packed ones of
 * four bits; GPTQ and AWQ in four bits; and dotpool's own `w4a8`.
 *
 * @param fields of `quantization_config`, where there is one
 * @throws FormatError for any other scheme
 */
export function parseQuantization(fields: Fields | undefined): StoredQuantization {
  if (fields === undefined) return { quantization: 'none', packing: undefined }
  const { quant_method: own } = W4A8
  fields.only('quant_method', 'compressed-tensors', 'gptq', 'awq', own)
  const method = fields.text('quant_method')
  if (method === own) {
    fields.only('format', W4A8.format)
    fields.only('version', W4A8.version)
    fields.only('group_size', W4A8.group_size)
    return { quantization: 'w4a8', packing: undefined }
  }
  if (method === 'gptq') return { quantization: 'w4a8', packing: parseGptq(fields) }
  if (method === 'awq') return { quantization: 'w4a8', packing: parseAwq(fields) }
  return parseCompressedTensors(fields)
}

function parseCompressedTensors(fields: Fields): StoredQuantization {
  fields.only('format', 'int-quantized', 'pack-quantized')
  fields.only('kv_cache_scheme', undefined)
  fields.object('sparsity_config')?.only('format', 'dense', undefined)
  // rotations of the inputs, for instance
  fields.empty('transform_config')
  const groups = fields.required('config_groups').objects()
  for (const group of groups) group.only('output_activations', undefined)
  if (fields.text('format') === 'pack-quantized') {
    return { quantization: 'w4a8', packing: parsePackQuantized(groups) }
  }
  for (const group of groups) {
    const weights = group.required('weights')
    weights.only('num_bits', 8)
    weights.only('type', 'int')
    weights.only('symmetric', true)
    weights.only('strategy', 'channel', 'tensor')
    checkActivations(group.required('input_activations'))
  }
  return { quantization: 'w8a8', packing: undefined }
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
