import { f16ToFloat } from '../../f16.js'
import { INT4_OFFSET } from '../../reference/int4.js'
import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { LinearSpec } from '../config/parameters.js'
import type { GroupedRows, GroupedWeight } from './grouped-weight.js'

/** Weights of a block, and its bytes: a float16 scale, then nibbles, whose low ones are the first 16 weights. */
const BLOCK = 32
const BLOCK_BYTES = 18

/** A weight in GGUF's Q4_0: groups of 32, with scales of either sign. */
export function openQ4_0(
  reader: TensorReader,
  { weight, inFeatures: K, outFeatures: N }: LinearSpec,
): GroupedWeight {
  return {
    groupOf: Int32Array.from({ length: K }, (_, k) => Math.floor(k / BLOCK)),
    read: async (first, last) => decodeQ4_0(await reader.readBlocks(weight, [N, K], first, last)),
  }
}

function decodeQ4_0(blocks: Uint8Array): GroupedRows {
  const count = blocks.length / BLOCK_BYTES
  const levels = new Int8Array(new SharedArrayBuffer(count * BLOCK))
  const scales = new Float32Array(new SharedArrayBuffer(count * Float32Array.BYTES_PER_ELEMENT))
  for (let block = 0, at = 0; block < count; block++, at += BLOCK_BYTES) {
    scales[block] = f16ToFloat(blocks[at] | (blocks[at + 1] << 8))
    for (let j = 0; j < BLOCK / 2; j++) {
      const byte = blocks[at + 2 + j]
      levels[block * BLOCK + j] = (byte & 15) - INT4_OFFSET
      levels[block * BLOCK + j + BLOCK / 2] = (byte >> 4) - INT4_OFFSET
    }
  }
  return { levels, scales }
}
