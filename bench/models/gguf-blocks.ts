/*
 * Types of llama.cpp that hold integers times one scale exactly: blocks that all have the same scales.
 * https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c
 */

/** A type of tensors, with ggml's number. */
export interface BlockType {
  readonly ggml: number
  /** Weights of a block, and the bytes that it takes. */
  readonly weights: number
  readonly bytes: number
  /**
   * Writes one block.
   *
   * @param scale the bits of a float16
   */
  readonly write: (values: Int8Array, scale: number, block: DataView) => void
}

/** A scale, then int8. */
const q8_0: BlockType = {
  ggml: 8,
  weights: 32,
  bytes: 34,
  write: (values, scale, block) => {
    block.setUint16(0, scale, true)
    for (let i = 0; i < 32; i++) block.setInt8(2 + i, values[i])
  },
}

/** A scale, then nibbles: the first 16 weights low, the others high. */
const q4_0: BlockType = {
  ggml: 2,
  weights: 32,
  bytes: 18,
  write: (values, scale, block) => {
    block.setUint16(0, scale, true)
    for (let i = 0; i < 16; i++) {
      block.setUint8(2 + i, (values[i] + 8) | ((values[i + 16] + 8) << 4))
    }
  },
}

/** w = d * scale * q - dMin * min, for each 32 of 256 a scale of 1 and a min of 8, which take six bits each. */
const q4_k: BlockType = {
  ggml: 12,
  weights: 256,
  bytes: 144,
  write: (values, scale, block) => {
    block.setUint16(0, scale, true)
    block.setUint16(2, scale, true)
    for (let i = 0; i < 4; i++) {
      block.setUint8(4 + i, 1)
      block.setUint8(8 + i, 8)
      block.setUint8(12 + i, 1 | (8 << 4))
    }
    for (let i = 0; i < 128; i++) {
      // of each 64 weights the first 32 are low
      const at = 2 * i - (i % 32)
      block.setUint8(16 + i, (values[at] + 8) | ((values[at + 32] + 8) << 4))
    }
  },
}

/** w = d * scale * (q - 32), for each 16 of 256 an int8 scale of 1. Four bits of q, then two, then the scales, then d. */
const q6_k: BlockType = {
  ggml: 14,
  weights: 256,
  bytes: 210,
  write: (values, scale, block) => {
    for (const half of [0, 1]) {
      for (let i = 0; i < 32; i++) {
        const q = [0, 32, 64, 96].map((part) => values[128 * half + part + i] + 32)
        block.setUint8(64 * half + i, (q[0] & 15) | ((q[2] & 15) << 4))
        block.setUint8(64 * half + 32 + i, (q[1] & 15) | ((q[3] & 15) << 4))
        const high = (q[0] >> 4) | ((q[1] >> 4) << 2) | ((q[2] >> 4) << 4) | ((q[3] >> 4) << 6)
        block.setUint8(128 + 32 * half + i, high)
      }
    }
    for (let i = 0; i < 16; i++) block.setInt8(192 + i, 1)
    block.setUint16(208, scale, true)
  },
}

/** What llama.cpp calls a file: Linears of this kind, with others where they matter more. */
export const ggufFormats = {
  q8_0: { fileType: 7, typeOf: () => q8_0 },
  q4_0: { fileType: 2, typeOf: ({ ggufName }) => (ggufName === 'token_embd' ? q6_k : q4_0) },
  q4_k_m: {
    fileType: 15,
    typeOf: ({ ggufName }, layers) => {
      const [, layer, kind] = /^blk\.(\d+)\.(.*)/.exec(ggufName) ?? []
      const isDelicate = kind === 'attn_v' || kind === 'ffn_down'
      const hasMore = isDelicate && getsMoreBits(Number(layer), layers)
      return ggufName === 'token_embd' || hasMore ? q6_k : q4_k
    },
  },
} satisfies Record<string, GgufFormat>

export type GgufFormatName = keyof typeof ggufFormats

interface GgufFormat {
  /** `general.file_type` */
  readonly fileType: number
  readonly typeOf: (tensor: { readonly ggufName: string }, layers: number) => BlockType
}

/** The first eighth of the layers, the last one, and every third between. */
function getsMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8)
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2
}

/** Writes integers, whole blocks of them. */
export function toBlocks(values: Int8Array, scale: number, type: BlockType): Uint8Array {
  const blocks = values.length / type.weights
  const out = new Uint8Array(blocks * type.bytes)
  for (let i = 0; i < blocks; i++) {
    const block = new DataView(out.buffer, i * type.bytes, type.bytes)
    type.write(values.subarray(i * type.weights, (i + 1) * type.weights), scale, block)
  }
  return out
}
