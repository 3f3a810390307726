import { f16ToFloat } from '../../f16.js'

/*
 * Dequantises ggml's blocks of 32 weights by their definition (ggml-quants.c) in float32, one operation at a time. A
 * block begins with its scale d, and maybe a minimum m, in float16. Nibbles: the low ones of 16 bytes are the first 16
 * weights, the high ones the others.
 */

const { fround } = Math

const half = (bytes: Uint8Array, at: number) => f16ToFloat(bytes[at] | (bytes[at + 1] << 8))
const word = (bytes: Uint8Array, at: number) =>
  bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)

/** d, 16 bytes of nibbles u: d (u - 8) */
export function dequantizeQ4_0(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 18, o += 32) {
    const d = half(blocks, at)
    for (let j = 0; j < 16; j++) {
      const byte = blocks[at + 2 + j]
      out[o + j] = d * ((byte & 15) - 8)
      out[o + j + 16] = d * ((byte >> 4) - 8)
    }
  }
}

/** d, m, 16 bytes of nibbles u: d u + m */
export function dequantizeQ4_1(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 20, o += 32) {
    const d = half(blocks, at)
    const m = half(blocks, at + 2)
    for (let j = 0; j < 16; j++) {
      const byte = blocks[at + 4 + j]
      out[o + j] = fround(d * (byte & 15)) + m
      out[o + j + 16] = fround(d * (byte >> 4)) + m
    }
  }
}

/** d, 32 high bits, 16 bytes of nibbles; u of 5 bits: d (u - 16) */
export function dequantizeQ5_0(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 22, o += 32) {
    const d = half(blocks, at)
    const high = word(blocks, at + 2)
    for (let j = 0; j < 16; j++) {
      const byte = blocks[at + 6 + j]
      out[o + j] = d * (((byte & 15) | (((high >>> j) & 1) << 4)) - 16)
      out[o + j + 16] = d * (((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16)
    }
  }
}

/** d, m, 32 high bits, 16 bytes of nibbles; u of 5 bits: d u + m */
export function dequantizeQ5_1(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 24, o += 32) {
    const d = half(blocks, at)
    const m = half(blocks, at + 2)
    const high = word(blocks, at + 4)
    for (let j = 0; j < 16; j++) {
      const byte = blocks[at + 8 + j]
      out[o + j] = fround(d * ((byte & 15) | (((high >>> j) & 1) << 4))) + m
      out[o + j + 16] = fround(d * ((byte >> 4) | (((high >>> (j + 16)) & 1) << 4))) + m
    }
  }
}

/** d, 32 int8 q: d q */
export function dequantizeQ8_0(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 34, o += 32) {
    const d = half(blocks, at)
    for (let j = 0; j < 32; j++) out[o + j] = d * ((blocks[at + 2 + j] << 24) >> 24)
  }
}

/** The values of IQ4's nibbles. */
const IQ4 = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)

/** d, 16 bytes of nibbles u: d IQ4[u] */
export function dequantizeIQ4_NL(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 18, o += 32) {
    const d = half(blocks, at)
    for (let j = 0; j < 16; j++) {
      const byte = blocks[at + 2 + j]
      out[o + j] = d * IQ4[byte & 15]
      out[o + j + 16] = d * IQ4[byte >> 4]
    }
  }
}

/**
 * 256 weights: d, the high 2 bits of 8 scales s, their low 4 bits, 8 times 16 bytes of nibbles u:
 * (d (s - 32)) IQ4[u]
 */
export function dequantizeIQ4_XS(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 136) {
    const d = half(blocks, at)
    const high = blocks[at + 2] | (blocks[at + 3] << 8)
    for (let i = 0; i < 8; i++, o += 32) {
      const low = (blocks[at + 4 + (i >> 1)] >> (4 * (i & 1))) & 15
      const scale = fround(d * ((low | (((high >> (2 * i)) & 3) << 4)) - 32))
      for (let j = 0; j < 16; j++) {
        const byte = blocks[at + 8 + 16 * i + j]
        out[o + j] = scale * IQ4[byte & 15]
        out[o + j + 16] = scale * IQ4[byte >> 4]
      }
    }
  }
}
