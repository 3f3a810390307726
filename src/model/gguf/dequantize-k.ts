import { f16ToFloat } from '../../f16.js'

/*
 * Dequantises ggml's "k-quants" by their definition (ggml-quants.c) in float32, one operation at a time: blocks of 256
 * weights in groups of 16 or 32, each with a small integer scale, and maybe a minimum, times those of the block in
 * float16.
 */

const { fround } = Math

const half = (bytes: Uint8Array, at: number) => f16ToFloat(bytes[at] | (bytes[at + 1] << 8))

/** 16 bytes of scale (low) and minimum (high), 64 of 2-bit u, d, dmin: (d s) u - dmin m */
export function dequantizeQ2_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 84) {
    const d = half(blocks, at + 80)
    const dmin = half(blocks, at + 82)
    for (let group = 0; group < 16; group++, o += 16) {
      const packed = blocks[at + group]
      const scale = fround(d * (packed & 15))
      const min = fround(dmin * (packed >> 4))
      // 128 weights share 32 bytes, 2 bits for each 32
      const from = at + 16 + 32 * (group >> 3) + 16 * (group & 1)
      const shift = group & 6
      for (let j = 0; j < 16; j++) {
        out[o + j] = fround(scale * ((blocks[from + j] >> shift) & 3)) - min
      }
    }
  }
}

/** 32 bytes of high bits, 64 of 2-bit u, 12 of 16 6-bit scales, d: (d (s - 32)) (u - 4 unless the high bit) */
export function dequantizeQ3_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 110) {
    const d = half(blocks, at + 108)
    for (let group = 0; group < 16; group++, o += 16) {
      const low = (blocks[at + 96 + (group & 7)] >> (4 * (group >> 3))) & 15
      const high = (blocks[at + 104 + (group & 3)] >> (2 * (group >> 2))) & 3
      const scale = fround(d * ((low | (high << 4)) - 32))
      const half16 = 16 * (group & 1)
      const from = at + 32 + 32 * (group >> 3) + half16
      const shift = group & 6
      const bit = group >> 1
      for (let j = 0; j < 16; j++) {
        const isHigh = (blocks[at + half16 + j] >> bit) & 1
        out[o + j] = scale * (((blocks[from + j] >> shift) & 3) - 4 * (1 - isHigh))
      }
    }
  }
}

/** d, dmin, 12 bytes of 8 6-bit scales and minima, 128 of nibbles u: (d s) u - dmin m */
export function dequantizeQ4_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 144) {
    const d = half(blocks, at)
    const dmin = half(blocks, at + 2)
    for (let group = 0; group < 8; group++, o += 32) {
      const scale = fround(d * scaleOf(blocks, at + 4, group))
      const min = fround(dmin * minOf(blocks, at + 4, group))
      const from = at + 16 + 32 * (group >> 1)
      const shift = 4 * (group & 1)
      for (let j = 0; j < 32; j++) {
        out[o + j] = fround(scale * ((blocks[from + j] >> shift) & 15)) - min
      }
    }
  }
}

/** d, dmin, 12 bytes of scales and minima, 32 of high bits, 128 of nibbles; u of 5 bits: (d s) u - dmin m */
export function dequantizeQ5_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 176) {
    const d = half(blocks, at)
    const dmin = half(blocks, at + 2)
    for (let group = 0; group < 8; group++, o += 32) {
      const scale = fround(d * scaleOf(blocks, at + 4, group))
      const min = fround(dmin * minOf(blocks, at + 4, group))
      const from = at + 48 + 32 * (group >> 1)
      const shift = 4 * (group & 1)
      for (let j = 0; j < 32; j++) {
        const high = (blocks[at + 16 + j] >> group) & 1
        out[o + j] = fround(scale * (((blocks[from + j] >> shift) & 15) | (high << 4))) - min
      }
    }
  }
}

/** 128 bytes of nibbles, 64 of 2 high bits, 16 int8 scales, d; u of 6 bits: (d s) (u - 32) */
export function dequantizeQ6_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 210) {
    const d = half(blocks, at + 208)
    for (let group = 0; group < 16; group++, o += 16) {
      const scale = fround(d * ((blocks[at + 192 + group] << 24) >> 24))
      // of 128 weights, each 32 use a pair of bits of 32 bytes, and a nibble of 64
      const [part, quarter, half16] = [group >> 3, (group >> 1) & 3, 16 * (group & 1)]
      const from = at + 64 * part + 32 * (quarter & 1) + half16
      const shift = 4 * (quarter >> 1)
      const highFrom = at + 128 + 32 * part + half16
      for (let j = 0; j < 16; j++) {
        const high = (blocks[highFrom + j] >> (2 * quarter)) & 3
        out[o + j] = scale * ((((blocks[from + j] >> shift) & 15) | (high << 4)) - 32)
      }
    }
  }
}

/*
 * 8 scales and 8 minima of 6 bits in 12 bytes: the first 4 scales in the low bits of bytes 0 to 3, the first 4 minima
 * in those of 4 to 7; of the others the low nibbles in 8 to 11, the high bits above the first ones.
 */

function scaleOf(blocks: Uint8Array, at: number, group: number): number {
  if (group < 4) return blocks[at + group] & 63
  return (blocks[at + 4 + group] & 15) | ((blocks[at + group - 4] >> 6) << 4)
}

function minOf(blocks: Uint8Array, at: number, group: number): number {
  if (group < 4) return blocks[at + 4 + group] & 63
  return (blocks[at + 4 + group] >> 4) | ((blocks[at + group] >> 6) << 4)
}
