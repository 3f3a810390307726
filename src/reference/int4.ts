import { ArgumentError, describe } from '../errors.js'
import { newArray } from '../tensor.js'
import type { WeightShape } from './quantize.js'

/*
 * w8[n, k] = (u[n, k] - 8) * m[n, k / 32]: int8 weights in four bits each, u in 0..15, m an integer for each output
 * channel and 32 k. Sums of products stay sums of integers, so that a Linear of these is the int8 Linear of w8.
 */

/** Consecutive k that share a multiplier. */
export const INT4_GROUP = 32

/** What is taken off a nibble before it is multiplied. */
export const INT4_OFFSET = 8

/** The largest multipliers of either sign with which every level of -8 to 7 stays in int8. */
export const MOST_MULTIPLIER = 16
export const LEAST_MULTIPLIER = -15

/** Weights int8 [N, K] as w8[n, k] = (u[n, k] - 8) * m[n, k / 32]. */
export interface Int4Weight {
  /**
   * u: uint8 [N, ceil(K / 2)], row-major; an even k is the low nibble of its byte, an odd k the high one. Where K is
   * odd the last high nibble of a row is ignored.
   */
  readonly nibbles: Uint8Array
  /** m: int8 [N, ceil(K / 32)], row-major; none is 0, and every w8 is in [-128, 127]. */
  readonly multipliers: Int8Array
}

/** The number of bytes of nibbles, and of multipliers, of one output channel of K weights. */
export function int4Strides(inFeatures: number): { nibbles: number; multipliers: number } {
  return { nibbles: Math.ceil(inFeatures / 2), multipliers: Math.ceil(inFeatures / INT4_GROUP) }
}

/** u[n, k] - 8, in [-8, 7]; `row` is where the nibbles of channel n begin. */
function levelAt(nibbles: Uint8Array, row: number, k: number): number {
  return ((nibbles[row + (k >> 1)] >> ((k & 1) * 4)) & 15) - INT4_OFFSET
}

/**
 * Decodes weights that {@link checkInt4} accepts.
 *
 * @returns w8: int8 [N * K], row-major as in `nn.Linear`, the weight of {@link Linear.fromInt8}
 */
export function decodeInt4(weight: Int4Weight, shape: WeightShape): Int8Array {
  const { inFeatures: K, outFeatures: N } = shape
  const w8 = newArray(Int8Array, N * K)
  for (let n = 0; n < N; n++) decodeInt4Channel(weight, n, w8.subarray(n * K, (n + 1) * K))
  return w8
}

/** Decodes output channel n into int8 [K]. */
export function decodeInt4Channel(weight: Int4Weight, n: number, w8: Int8Array): void {
  const { nibbles, multipliers } = weight
  const stride = int4Strides(w8.length)
  for (let k = 0; k < w8.length; k++) {
    const m = multipliers[n * stride.multipliers + Math.floor(k / INT4_GROUP)]
    w8[k] = levelAt(nibbles, n * stride.nibbles, k) * m
  }
}

/**
 * @throws ArgumentError unless the arrays have the lengths that the shape needs, no multiplier is 0, and every weight
 *   that they stand for is in [-128, 127]; it names the output channel and k
 */
export function checkInt4({ nibbles, multipliers }: Int4Weight, shape: WeightShape): void {
  const { inFeatures: K, outFeatures: N } = shape
  const stride = int4Strides(K)
  checkElements('nibbles', nibbles, N, stride.nibbles)
  checkElements('multipliers', multipliers, N, stride.multipliers)
  for (let n = 0, i = 0; n < N; n++) {
    for (let k0 = 0; k0 < K; k0 += INT4_GROUP, i++) {
      const m = multipliers[i]
      if (m === 0) {
        const got = `0 of output channel ${n}, k = ${k0}`
        throw new ArgumentError('multipliers', 'integers other than 0', got)
      }
      if (m >= LEAST_MULTIPLIER && m <= MOST_MULTIPLIER) continue
      const bad = findOverflow(nibbles, n * stride.nibbles, m, k0, Math.min(k0 + INT4_GROUP, K))
      if (bad === undefined) continue
      const level = levelAt(nibbles, n * stride.nibbles, bad)
      const got = `(${level + INT4_OFFSET} - ${INT4_OFFSET}) * ${m} of output channel ${n}, k = ${bad}`
      throw new ArgumentError('multipliers', 'weights in [-128, 127]', got)
    }
  }
}

function checkElements(
  argument: keyof Int4Weight,
  array: Uint8Array | Int8Array,
  channels: number,
  stride: number,
): void {
  if (array.length === channels * stride) return
  throw new ArgumentError(argument, `${channels} * ${stride} elements`, describe(array))
}

/** The first k in [from, to) whose weight a byte does not hold. */
function findOverflow(
  nibbles: Uint8Array,
  row: number,
  m: number,
  from: number,
  to: number,
): number | undefined {
  for (let k = from; k < to; k++) {
    const w8 = levelAt(nibbles, row, k) * m
    if (w8 < -128 || w8 > 127) return k
  }
  return undefined
}
