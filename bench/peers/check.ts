import type { Shape } from '../../dist/bench/runner.js'
import { type Way, WEIGHT_SCALE } from './contender.js'

/** Rows quantised in different ways differ by a hundredth at most; a mistake costs more of a result. */
const TOLERANCE = 0.03

/** How far a result lies from the exact one, as a share of the exact one's norm. */
export async function errorOf(way: Way, exact: Float64Array): Promise<number> {
  const row = await way.lastRow()
  return Math.hypot(...exact.map((value, n) => row[n] - value)) / Math.hypot(...exact)
}

/** Whether a result is no rounding of the exact one; also one that holds a NaN. */
export function isWrong(error: number): boolean {
  return !(error < TOLERANCE)
}

/** What a Linear makes of the last row of x, without any rounding: float64 [N]. */
export function exactRow(weight: Int8Array, x: Float32Array, { k, n }: Shape): Float64Array {
  const row = x.subarray(x.length - k)
  return Float64Array.from({ length: n }, (_, channel) => {
    let sum = 0
    for (let i = 0; i < k; i++) sum += row[i] * weight[channel * k + i]
    return sum * WEIGHT_SCALE
  })
}
