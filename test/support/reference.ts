import { bf16ToFloat32, floatToBf16 } from 'dotpool'
import { expect } from 'vitest'
import type { LinearCase } from './random.js'

/*
 * The arithmetic as DESIGN states it, written a second time without the package's own code: plain loops over plain
 * weights.
 */

const { fround } = Math

/** Nearest integer, ties to even. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value)
  const left = value - below
  return left > 0.5 || (left === 0.5 && below % 2 !== 0) ? below + 1 : below
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}

function absmaxOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), fround(1e-8))
}

/** Quantises one row of activations; scale NaN and zeros if it is not finite. */
export function quantizeReference(
  row: Float32Array,
  outliers = 0,
): { q: Int16Array; scale: number } {
  if (!Number.isFinite(absmaxOf(row))) return { q: new Int16Array(row.length), scale: Number.NaN }
  const descending = [...row].map(Math.abs).sort((a, b) => b - a)
  const least = outliers === 0 ? 0 : fround(descending[0] / 128)
  const a = Math.max(descending[outliers] ?? 0, least, fround(1e-8))
  const inverse = fround(127 / a)
  const q = Int16Array.from(row, (x) => {
    const most = Math.abs(x) > a ? 127 * 128 : 127
    return clamp(roundHalfEven(fround(x * inverse)), -most, most)
  })
  return { q, scale: fround(a / 127) }
}

/** Quantises one output channel of weights. */
export function quantizeWeightReference(row: Float32Array): { q: Int8Array; scale: number } {
  const scale = fround(absmaxOf(row) / 127)
  const q = Int8Array.from(row, (w) => clamp(roundHalfEven(fround(w / scale)), -128, 127))
  return { q, scale }
}

/** y[m, n] = (float(acc) * xScale[m]) * wScale[n] (+ bias[n]) */
export function linearReference(linear: LinearCase): Float32Array {
  const { x, weight, scale, bias, rows, outliers, inFeatures: K, outFeatures: N } = linear
  const y = new Float32Array(rows * N)
  for (let m = 0; m < rows; m++) {
    const { q, scale: xScale } = quantizeReference(x.subarray(m * K, (m + 1) * K), outliers)
    for (let n = 0; n < N; n++) {
      let acc = 0
      for (let k = 0; k < K; k++) acc += q[k] * weight[n * K + k]
      const value = fround(fround(fround(acc) * xScale) * scale[n])
      y[m * N + n] = bias === undefined ? value : fround(value + bias[n])
    }
  }
  return y
}

/** The same for bfloat16: rounds the input before, the result after. */
export function linearReferenceBf16(linear: LinearCase): Uint16Array {
  const x = bf16ToFloat32(Uint16Array.from(linear.x, floatToBf16))
  return Uint16Array.from(linearReference({ ...linear, x }), floatToBf16)
}

type Values = Float32Array | Uint16Array | Int16Array | Int8Array | Int32Array

/** Expects the same type, length and bits; all NaN are equal. Much faster than expect() for many values. */
export function expectSameBits(actual: Values, expected: Values, where = ''): void {
  expect(actual.constructor, where).toBe(expected.constructor)
  expect(actual.length, where).toBe(expected.length)
  // Object.is tells -0 from 0 and equates NaN with NaN
  for (let i = 0; i < actual.length; i++) {
    if (Object.is(actual[i], expected[i])) continue
    expect.fail(`${where} element ${i}: ${actual[i]}, not ${expected[i]}`)
  }
}
