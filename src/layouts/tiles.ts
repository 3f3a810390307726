import { ArgumentError, checkInteger, describe } from '../errors.js'

/*
 * The packed weights that all kernels read are int8 [ceil(N/64)][ceil(K/4)][64][4], "64c4": blocks of 64
 * output channels, quads of 4 consecutive k, channel, byte of the quad; N and K padded with zeros. See
 * native/src/layout.h.
 */

/** Output channels of a block. */
export const NR = 64

/** Consecutive k of a quad. */
export const KR = 4

/** Bytes of the packed tiles of int8 [N, K]. */
export function tileBytes(outFeatures: number, inFeatures: number): number {
  return Math.ceil(outFeatures / NR) * NR * paddedK(inFeatures)
}

/** K with its padding. */
export function paddedK(inFeatures: number): number {
  return Math.ceil(inFeatures / KR) * KR
}

/** N with its padding. */
export function paddedN(outFeatures: number): number {
  return Math.ceil(outFeatures / NR) * NR
}

/** Index of weight [n, k] among the packed tiles. */
export function tileIndex(n: number, k: number, inFeatures: number): number {
  const block = Math.floor(n / NR) * NR * paddedK(inFeatures)
  return block + Math.floor(k / KR) * NR * KR + (n % NR) * KR + (k % KR)
}

/**
 * Unpacks rows [firstRow, lastRow) of the packed tiles.
 *
 * @param tiles of int8 [N, K]
 * @param inFeatures K
 * @param out int8 [lastRow - firstRow, K], row-major; a new array by default
 * @throws ArgumentError if the tiles do not contain those rows, or `out` has another length
 */
export function unpackTiles(
  tiles: Int8Array,
  inFeatures: number,
  firstRow: number,
  lastRow: number,
  out: Int8Array = new Int8Array(Math.max(0, lastRow - firstRow) * inFeatures),
): Int8Array {
  checkInteger('inFeatures', inFeatures, 1, Number.MAX_SAFE_INTEGER)
  checkInteger('lastRow', lastRow, 0, Math.floor(tiles.length / paddedK(inFeatures)))
  checkInteger('firstRow', firstRow, 0, lastRow)
  const size = (lastRow - firstRow) * inFeatures
  if (out.length !== size) throw new ArgumentError('out', `length ${size}`, describe(out))
  for (let n = firstRow, row = 0; n < lastRow; n++, row += inFeatures) {
    for (let k = 0, at = tileIndex(n, 0, inFeatures); k < inFeatures; k += KR, at += NR * KR) {
      const count = Math.min(KR, inFeatures - k)
      for (let i = 0; i < count; i++) out[row + k + i] = tiles[at + i]
    }
  }
  return out
}
