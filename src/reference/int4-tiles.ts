import { NR, paddedK } from '../layouts/tiles.js'
import { INT4_GROUP, INT4_OFFSET, type Int4Weight, int4Strides } from './int4.js'
import type { WeightShape } from './quantize.js'
import { channelsOf, type Share } from './share.js'

/*
 * The packed weights of four bits that all kernels read, "64c8": [ceil(N/64)][ceil(K/32)] of a line of 64 multipliers,
 * one of each channel, then four pairs of quads. A pair is 256 bytes in the order of a quad of 64c4: the low nibble of a
 * byte is of the pair's first quad, the high one of its second. N and K are padded with weights of zero. See
 * native/src/tiles.h.
 */

/** k of a pair of quads. */
const PAIR = 8

const PAIR_BYTES = (NR * PAIR) / 2

const GROUP_BYTES = NR + (INT4_GROUP / PAIR) * PAIR_BYTES

/** Bytes of a block of 64 output channels. */
export function int4BlockBytes(inFeatures: number): number {
  return Math.ceil(inFeatures / INT4_GROUP) * GROUP_BYTES
}

/** Bytes of the packed tiles of int4 [N, K]. */
export function int4TileBytes(outFeatures: number, inFeatures: number): number {
  return Math.ceil(outFeatures / NR) * int4BlockBytes(inFeatures)
}

/** Index of the multiplier of group g of channel n. */
function multiplierIndex(n: number, g: number, inFeatures: number): number {
  return Math.floor(n / NR) * int4BlockBytes(inFeatures) + g * GROUP_BYTES + (n % NR)
}

/** Index of the byte that holds the nibble of weight [n, k], and the nibble's first bit. */
function nibbleAt(n: number, k: number, inFeatures: number): [index: number, bit: number] {
  const group = multiplierIndex(n - (n % NR), Math.floor(k / INT4_GROUP), inFeatures) + NR
  const pair = group + Math.floor((k % INT4_GROUP) / PAIR) * PAIR_BYTES
  return [pair + (n % NR) * 4 + (k % 4), k % PAIR < 4 ? 0 : 4]
}

export interface PackInt4Task extends Share {
  weight: Int4Weight
  tiles: Int8Array
  colSum: Int32Array
  inFeatures: number
  outFeatures: number
}

/** tiles, colSum = pack(w), colSum of the int8 weights that these stand for. */
export function packInt4Share(task: PackInt4Task): number {
  const { weight, tiles, colSum, inFeatures: K, outFeatures: N } = task
  const { nibbles, multipliers } = weight
  const stride = int4Strides(K)
  const [from, to] = channelsOf(task, N)
  for (let n = from; n < Math.ceil(to / NR) * NR; n++) {
    colSum[n] = 0
    for (let k = 0; k < stride.multipliers * INT4_GROUP; k++) {
      const g = Math.floor(k / INT4_GROUP)
      const m = n < N ? multipliers[n * stride.multipliers + g] : 0
      const byte = nibbles[n * stride.nibbles + (k >> 1)]
      const u = n < N && k < K ? (byte >> ((k & 1) * 4)) & 15 : INT4_OFFSET
      const [index, bit] = nibbleAt(n, k, K)
      tiles[multiplierIndex(n, g, K)] = m
      tiles[index] = (tiles[index] & (0xf0 >> bit)) | (u << bit)
      colSum[n] += (u - INT4_OFFSET) * m
    }
  }
  return 0
}

/** Decodes channel n: int8, padded to whole quads with zeros. */
export function decodeInt4Tiles(tiles: Int8Array, n: number, inFeatures: number): Int8Array {
  const groups = Math.ceil(inFeatures / INT4_GROUP)
  const w8 = new Int8Array(groups * INT4_GROUP)
  for (let g = 0, k = 0; g < groups; g++) {
    const m = tiles[multiplierIndex(n, g, inFeatures)]
    for (const end = k + INT4_GROUP; k < end; k += PAIR) {
      const [index] = nibbleAt(n, k, inFeatures)
      for (let i = 0; i < PAIR / 2; i++) {
        w8[k + i] = ((tiles[index + i] & 15) - INT4_OFFSET) * m
        w8[k + i + PAIR / 2] = (((tiles[index + i] >> 4) & 15) - INT4_OFFSET) * m
      }
    }
  }
  return w8.subarray(0, paddedK(inFeatures))
}

/**
 * Unpacks the channels [first, last) as they were packed. Where K is odd the last high nibbles are 8.
 *
 * @param tiles of int4 [N, K], N >= last
 */
export function unpackInt4(
  tiles: Int8Array,
  { inFeatures: K }: Pick<WeightShape, 'inFeatures'>,
  first: number,
  last: number,
): Int4Weight {
  const stride = int4Strides(K)
  const nibbles = new Uint8Array((last - first) * stride.nibbles)
  const multipliers = new Int8Array((last - first) * stride.multipliers)
  for (let n = first; n < last; n++) {
    for (let g = 0; g < stride.multipliers; g++) {
      multipliers[(n - first) * stride.multipliers + g] = tiles[multiplierIndex(n, g, K)]
    }
    const row = (n - first) * stride.nibbles
    for (let k = 0; k < stride.nibbles * 2; k += PAIR / 2) {
      const [index, bit] = nibbleAt(n, k, K)
      for (let i = 0; i < PAIR / 2 && k + i < stride.nibbles * 2; i += 2) {
        const low = (tiles[index + i] >> bit) & 15
        nibbles[row + ((k + i) >> 1)] = low | (((tiles[index + i + 1] >> bit) & 15) << 4)
      }
    }
  }
  return { nibbles, multipliers }
}
