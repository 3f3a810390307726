import { ArgumentError, checkInteger, describe } from '../errors.js'
import { newArray } from '../pool/memory.js'
import { viewOf } from '../views.js'

/*
 * Weight layouts. The packed tiles that all kernels read are int8 [ceil(N/64)][ceil(K/4)][64][4],
 * "64c4": blocks of 64 output channels, quads of 4 consecutive k, channel, byte of the quad; N and K
 * padded with zeros. See native/src/layout.h.
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
 * Takes rows [firstRow, lastRow) out of the packed tiles.
 *
 * @param tiles of int8 [N, K]
 * @param inFeatures K
 * @param out int8 [lastRow - firstRow, K], row-major; a new array by default
 * @throws ArgumentError if the tiles do not hold those rows, or `out` has another length
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

/**
 * Packs int8 weights [N, K] into the SDOT layout [K/4, N/4, 4, 4] of other runtimes:
 * `packed[k / 4][n / 4][n % 4][k % 4] = w[n][k]`.
 *
 * @throws ArgumentError if K or N is no multiple of 4, or the length is not N * K
 */
export function packSdot(weight: Int8Array, inFeatures: number, outFeatures: number): Int8Array {
  return mapSdot('weight', weight, inFeatures, outFeatures, (from, out, plain, packed) => {
    out[packed] = from[plain]
  })
}

/**
 * Unpacks the SDOT layout [K/4, N/4, 4, 4] into int8 weights [N, K]; undoes {@link packSdot}.
 *
 * @throws ArgumentError if K or N is no multiple of 4, or the length is not N * K
 */
export function unpackSdot(packed: Int8Array, inFeatures: number, outFeatures: number): Int8Array {
  return mapSdot('packed', packed, inFeatures, outFeatures, (from, out, plain, packed) => {
    out[plain] = from[packed]
  })
}

function mapSdot(
  argument: string,
  values: unknown,
  inFeatures: number,
  outFeatures: number,
  move: (from: Int8Array, out: Int8Array, plain: number, packed: number) => void,
): Int8Array {
  for (const [name, size] of Object.entries({ inFeatures, outFeatures })) {
    checkInteger(name, size, 1, Number.MAX_SAFE_INTEGER)
    if (size % 4 !== 0) throw new ArgumentError(name, 'a multiple of 4', describe(size))
  }
  const from = viewOf(Int8Array, values)
  if (from?.length !== inFeatures * outFeatures) {
    const expected = `an Int8Array of ${outFeatures} * ${inFeatures} elements`
    throw new ArgumentError(argument, expected, describe(values))
  }
  const out = newArray(Int8Array, from.length)
  for (let n = 0; n < outFeatures; n++) {
    for (let k = 0; k < inFeatures; k++) {
      const quad = Math.floor(k / 4) * outFeatures + n
      move(from, out, n * inFeatures + k, quad * 4 + (k % 4))
    }
  }
  return out
}
