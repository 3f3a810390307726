import type { Way } from './contender.js'

/** Rows quantised in different ways differ by a hundredth at most; a mistake costs all of a result. */
const TOLERANCE = 0.03

/**
 * Makes sure that all compute the same thing.
 *
 * @throws Error naming the first whose result is far from the first one's
 */
export async function checkResults([first, ...others]: readonly Way[]): Promise<void> {
  const expected = await first.lastRow()
  for (const { name, lastRow } of others) {
    const row = await lastRow()
    const error = norm(row.map((value, n) => value - expected[n])) / norm(expected)
    if (!(error < TOLERANCE)) throw new Error(`${name}: the result is off by ${error} of its norm`)
  }
}

function norm(vector: Float32Array): number {
  return Math.hypot(...vector)
}
