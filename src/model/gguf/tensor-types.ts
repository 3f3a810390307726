import type { FormatError } from '../../errors.js'
import {
  dequantizeIQ4_NL,
  dequantizeIQ4_XS,
  dequantizeQ4_0,
  dequantizeQ4_1,
  dequantizeQ5_0,
  dequantizeQ5_1,
  dequantizeQ8_0,
} from './dequantize.js'
import {
  dequantizeQ2_K,
  dequantizeQ3_K,
  dequantizeQ4_K,
  dequantizeQ5_K,
  dequantizeQ6_K,
} from './dequantize-k.js'

/** How the elements of a tensor are stored: in blocks of a fixed number of bytes. */
export interface TensorType {
  readonly name: string
  readonly blockSize: number
  readonly blockBytes: number
  /** The dtype when read, as safetensors spell it. */
  readonly dtype: 'F32' | 'F16' | 'BF16'
  /** Dequantises whole blocks to float32; undefined for types that are read as they are stored. */
  readonly dequantize?: (blocks: Uint8Array, out: Float32Array) => void
}

const stored = (name: 'F32' | 'F16' | 'BF16', blockBytes: number): TensorType => ({
  name,
  blockSize: 1,
  blockBytes,
  dtype: name,
})

const blocks = (
  name: string,
  blockSize: number,
  blockBytes: number,
  dequantize: (blocks: Uint8Array, out: Float32Array) => void,
): TensorType => ({ name, blockSize, blockBytes, dtype: 'F32', dequantize })

/** By ggml's numbers. */
const types = new Map<number, TensorType>([
  [0, stored('F32', 4)],
  [1, stored('F16', 2)],
  [2, blocks('Q4_0', 32, 18, dequantizeQ4_0)],
  [3, blocks('Q4_1', 32, 20, dequantizeQ4_1)],
  [6, blocks('Q5_0', 32, 22, dequantizeQ5_0)],
  [7, blocks('Q5_1', 32, 24, dequantizeQ5_1)],
  [8, blocks('Q8_0', 32, 34, dequantizeQ8_0)],
  [10, blocks('Q2_K', 256, 84, dequantizeQ2_K)],
  [11, blocks('Q3_K', 256, 110, dequantizeQ3_K)],
  [12, blocks('Q4_K', 256, 144, dequantizeQ4_K)],
  [13, blocks('Q5_K', 256, 176, dequantizeQ5_K)],
  [14, blocks('Q6_K', 256, 210, dequantizeQ6_K)],
  [20, blocks('IQ4_NL', 32, 18, dequantizeIQ4_NL)],
  [23, blocks('IQ4_XS', 256, 136, dequantizeIQ4_XS)],
  [30, stored('BF16', 2)],
])

/** Other types that files may have, so that a refusal can name them. */
const others = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
])

/**
 * @param id ggml's number of the type
 * @param wrong makes the error that is thrown for an unsupported type
 */
export function tensorType(id: number, wrong: (problem: string) => FormatError): TensorType {
  const type = types.get(id)
  if (type !== undefined) return type
  const known = [...types.values()].map(({ name }) => name).join(', ')
  throw wrong(`type ${others.get(id) ?? id} is not supported, only ${known}`)
}
