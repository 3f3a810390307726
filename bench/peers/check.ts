import type { Shape } from '../../dist/bench/runner.js'
import { type Way, WEIGHT_SCALE } from './contender.js'

/** Different quantisations of rows differ by a hundredth at most; a mistake costs more. */
const TOLERANCE = 0.03

/** The distance of a result from the exact one, as a share of the exact one's norm. */
export async function errorOf(way: Way, exact: Float64Array): Promise<number> {
  const row = await way.lastRow()
  return Math.hypot(...exact.map((value, n) => row[n] - value)) / Math.hypot(...exact)
}

/** Whether a result is too far off to be a rounding of the exact one, or holds a NaN. */
export function isWrong(error: number): boolean {
  return !(error < TOLERANCE)
}

/** The exact result of a Linear for the last row of x: float64 [N]. */
export function exactRow(weight: Int8Array, x: Float32Array, { k, n }: Shape): Float64Array {
  const row = x.subarray(x.length - k)
  return Float64Array.from({ length: n }, (_, channel) => {
    let sum = 0
    for (let i = 0; i < k; i++) sum += row[i] * weight[channel * k + i]
    return sum * WEIGHT_SCALE
  })
}
