import type { StoredTensor } from '../support.js'
import { halves, int32, type MadeWeight, packColumns, packRows } from './made-weight.js'

/** A Linear as compressed-tensors packs it. */
export function packQuantized(
  name: string,
  weight: MadeWeight,
  {
    dtype = 'BF16',
    symmetric = false,
    ordered = false,
  }: { dtype?: 'F16' | 'BF16'; symmetric?: boolean; ordered?: boolean } = {},
): Record<string, StoredTensor> {
  const { N, K, u, zeros, scales, groupOf } = weight
  const tensors = {
    weight_packed: packColumns(u),
    weight_scale: halves(dtype, scales),
    weight_shape: {
      dtype: 'I64',
      shape: [2],
      data: new Uint8Array(BigInt64Array.of(BigInt(N), BigInt(K)).buffer),
    },
    ...(symmetric ? {} : { weight_zero_point: packRows(zeros) }),
    ...(ordered ? { weight_g_idx: int32([K], groupOf) } : {}),
  }
  return Object.fromEntries(
    Object.entries(tensors).map(([part, tensor]) => [`${name}.${part}`, tensor]),
  )
}

/** The `quantization_config` of such a checkpoint. */
export function packQuantizedConfig(
  size: number | undefined,
  { weights = {}, activations = null }: { weights?: object; activations?: object | null } = {},
): object {
  const grouping = size === undefined ? { strategy: 'channel' } : { strategy: 'group' }
  return {
    quant_method: 'compressed-tensors',
    format: 'pack-quantized',
    ignore: ['lm_head'],
    kv_cache_scheme: null,
    sparsity_config: {},
    transform_config: {},
    config_groups: {
      group_0: {
        targets: ['Linear'],
        weights: {
          ...{ num_bits: 4, type: 'int', symmetric: true, dynamic: false, actorder: null },
          ...grouping,
          group_size: size ?? null,
          ...weights,
        },
        input_activations: activations,
        output_activations: null,
      },
    },
  }
}
