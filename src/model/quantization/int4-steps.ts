import { LEAST_MULTIPLIER, MOST_MULTIPLIER } from '../../reference/int4.js'

/*
 * A channel in four bits has a real step s[g] for each group of inputs in other formats, and an integer multiple of one
 * scale here. Keeping its levels v costs
 *
 *   sum_g e[g] (s[g] - scale m[g])^2, with e[g] the sum of v^2 over the group.
 *
 * For a scale the nearest multiples are best; for multiples, the scale by least squares.
 */

/** What multiples of the scale the largest step is tried to be: also some that are clipped. */
const MOST_MULTIPLE = 18
const MULTIPLE_STEP = 1 / 8

/** How often scale and multiples are fitted to each other. */
const FITS = 2

/**
 * Finds multiples of one scale that are near the steps.
 *
 * @param steps s [G], finite
 * @param energies e [G]; steps of groups without energy do not matter
 * @param multipliers receives m, int8 [G], none 0
 * @returns the scale, float32
 */
export function fitSteps(
  steps: Float32Array,
  energies: Float64Array,
  multipliers: Int8Array,
): number {
  const largest = steps.reduce(
    (most, step, g) => (energies[g] > 0 ? Math.max(most, Math.abs(step)) : most),
    0,
  )
  // a channel of zeros is exact with any scale
  let best = 1
  let bound = largest > 0 ? Number.POSITIVE_INFINITY : 0
  for (let multiple = 1; multiple <= MOST_MULTIPLE && bound > 0; multiple += MULTIPLE_STEP) {
    let scale = Math.fround(largest / multiple)
    for (let fit = 0; fit <= FITS && scale > 0; fit++) {
      const { error, fitted } = costOf(steps, energies, scale, bound)
      if (error >= bound) break
      bound = error
      best = scale
      scale = fitted
    }
  }
  for (let g = 0; g < steps.length; g++) multipliers[g] = multiplierNear(steps[g] / best)
  return best
}

/** The error of a scale with the nearest multiples, and the scale that is best for these. Stops above the bound. */
function costOf(
  steps: Float32Array,
  energies: Float64Array,
  scale: number,
  bound: number,
): { error: number; fitted: number } {
  let [error, product, square] = [0, 0, 0]
  for (let g = 0; g < steps.length && error < bound; g++) {
    const m = multiplierNear(steps[g] / scale)
    const difference = steps[g] - scale * m
    error += energies[g] * difference * difference
    product += energies[g] * steps[g] * m
    square += energies[g] * m * m
  }
  return { error, fitted: Math.fround(product / square) }
}

/** The nearest multiplier to a real number, but none is 0. */
export function multiplierNear(multiple: number): number {
  const nearest = Math.round(multiple)
  if (nearest === 0) return multiple < 0 ? -1 : 1
  return Math.min(MOST_MULTIPLIER, Math.max(LEAST_MULTIPLIER, nearest))
}
