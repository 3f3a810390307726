import { createCipheriv, createHash } from 'node:crypto'
import type { Bits } from './bits.js'
import type { ShapeTensor } from './tensors.js'

/*
 * Random weights that all formats hold exactly, so that all contenders run the same model: integers of few bits times one
 * scale, which is a float16 (as GGUF has them) and for the embedding a power of two (so that the products are bfloat16).
 * AES in counter mode generates them, faster than disks write.
 */

/** A positive float16 number. */
export interface Half {
  readonly value: number
  readonly bits: number
}

/** The largest integer of so many bits. The smallest is its negative, for formats differ in what else they hold. */
const LARGEST = { 8: 127, 6: 31, 4: 7 } as const

/** Of an embedding, the bits that llama.cpp keeps where Linears have four. */
const EMBEDDING_BITS = { 8: 8, 4: 6 } as const

/** Root mean square of the odd int8 values, which are the ones generated. */
const RMS = Math.sqrt((128 ** 2 - 1) / 3)

/**
 * Small enough that a token's embedding does not outweigh the output of 28 layers: otherwise the tied head would repeat
 * the last token, and the layers would go untested.
 */
const EMBEDDING_SCALE = 2 ** -11

/** Rows per piece, so that memory never holds a whole embedding; whole heads of any usual size. */
const PIECE_ROWS = 1024

/** Yields the tensor's integers, a thousand rows at a time; the same for the same seed. */
export function* drawPieces(seed: number, tensor: ShapeTensor, bits: Bits): Generator<Int8Array> {
  const largest = largestOf(tensor, bits)
  const levels = Int8Array.from({ length: 256 }, (_, byte) =>
    Math.round((((byte << 24) >> 24) / 127) * largest),
  )
  for (const bytes of drawBytes(seed, tensor)) {
    // what is drawn has 8 bits
    if (largest < 127) for (let i = 0; i < bytes.length; i++) bytes[i] = levels[bytes[i] & 0xff]
    yield bytes
  }
}

function largestOf({ kind }: ShapeTensor, bits: Bits): number {
  return LARGEST[kind === 'embedding' ? EMBEDDING_BITS[bits] : bits]
}

/** Yields odd int8 values. */
function* drawBytes(seed: number, tensor: ShapeTensor): Generator<Int8Array> {
  const hash = createHash('sha256').update(`${seed} ${tensor.name}`).digest()
  const cipher = createCipheriv('aes-128-ctr', hash.subarray(0, 16), hash.subarray(16))
  const zeros = new Uint8Array(PIECE_ROWS * tensor.columns)
  for (let row = 0; row < tensor.rows; row += PIECE_ROWS) {
    const rows = Math.min(PIECE_ROWS, tensor.rows - row)
    const bytes = cipher.update(zeros.subarray(0, rows * tensor.columns))
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
    // odd bytes are symmetric around zero, and exclude -128, which Q8_0 does not use
    for (let i = 0; i < words.length; i++) words[i] = (words[i] & 0xfefefefe) | 0x01010101
    yield new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  }
}

/** The factor of a tensor's integers: with it a Linear keeps the magnitude of its input. */
export function scaleOf(tensor: ShapeTensor, bits: Bits): Half {
  if (tensor.kind === 'embedding') return half(EMBEDDING_SCALE * 2 ** (8 - EMBEDDING_BITS[bits]))
  return half(127 / (largestOf(tensor, bits) * RMS * Math.sqrt(tensor.columns)))
}

/** A norm's weights, from 0.87 to 1.12, exact in bfloat16. */
export function drawNorm(seed: number, tensor: ShapeTensor): Float32Array {
  const [bytes] = drawBytes(seed, tensor)
  return Float32Array.from(bytes, (byte) => 1 + (byte >> 3) / 128)
}

/** Rounds to 11 significant bits. */
function half(x: number): Half {
  const exponent = Math.floor(Math.log2(x))
  const fraction = Math.round((x / 2 ** exponent - 1) * 1024)
  return { value: 2 ** exponent * (1 + fraction / 1024), bits: ((exponent + 15) << 10) + fraction }
}
