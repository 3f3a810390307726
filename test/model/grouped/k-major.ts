import type { StoredTensor } from '../support.js'
import { halves, int32, type MadeWeight, packColumns, packRows, transposed } from './made-weight.js'

const named = (name: string, tensors: Record<string, StoredTensor>) =>
  Object.fromEntries(Object.entries(tensors).map(([part, tensor]) => [`${name}.${part}`, tensor]))

/** A Linear as GPTQ stores it. */
export function packGptq(
  name: string,
  { u, zeros, scales, groupOf, K }: MadeWeight,
  { version = 1, indices = true } = {},
): Record<string, StoredTensor> {
  const stored = transposed(zeros).map((row) => row.map((z) => (version === 1 ? (z + 15) % 16 : z)))
  return named(name, {
    qweight: packRows(transposed(u)),
    qzeros: packColumns(stored),
    scales: halves('F16', transposed(scales)),
    ...(indices ? { g_idx: int32([K], groupOf) } : {}),
  })
}

/** A Linear as AWQ's gemm version stores it. */
export function packAwq(
  name: string,
  { u, zeros, scales }: MadeWeight,
): Record<string, StoredTensor> {
  const order = [0, 2, 4, 6, 1, 3, 5, 7]
  return named(name, {
    qweight: packColumns(transposed(u), order),
    qzeros: packColumns(transposed(zeros), order),
    scales: halves('F16', transposed(scales)),
  })
}

export function gptqConfig(size: number | undefined, changes: object = {}): object {
  return {
    ...{ quant_method: 'gptq', bits: 4, group_size: size ?? -1, desc_act: false, sym: true },
    ...{ damp_percent: 0.01, true_sequential: true, ...changes },
  }
}

export function awqConfig(size: number | undefined, changes: object = {}): object {
  return {
    ...{ quant_method: 'awq', bits: 4, group_size: size ?? -1, version: 'gemm' },
    ...{ zero_point: true, modules_to_not_convert: null, ...changes },
  }
}
