/** Adding and subtracting this rounds a float64 to an integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 52

/** clamp(rne(w / step), -8, 7) */
export function nearestLevel(w: number, step: number): number {
  const v = w * (1 / step) + ROUNDER - ROUNDER
  return Math.min(7, Math.max(-8, v))
}
