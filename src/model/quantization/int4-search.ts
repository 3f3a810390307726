import {
  INT4_GROUP,
  INT4_OFFSET,
  type Int4Weight,
  int4Strides,
  LEAST_MULTIPLIER,
  MOST_MULTIPLIER,
} from '../../reference/int4.js'

/*
 * Weights w[K] of an output channel as s * v[k] * m[k / 32], v in -8..7, m an integer and s a float32, so that
 *
 *   sum_k h[k] (w[k] - s v[k] m[k / 32])^2
 *
 * is small; h[k] tells how much input k counts. The levels v are not symmetric, so m may be negative.
 *
 * First each group of 32 is searched alone for its best real steps, one of either sign. Then channel scales are tried
 * for which the largest of these steps is a multiple; each group takes the multiple of the scale that suits it best,
 * next to its own step. At last the scale is fitted to the levels by least squares, and the groups to it, in turn.
 */

/** The share of the mean of h that is added to each: calibration has seen some tokens, and others will come. */
const DAMPING = 0.01

/** Weights below this count as zeros, as in int8. */
const ABSMAX_FLOOR = 1e-8

/** Levels that the largest weight of a group may have, as real numbers: beyond 8 it is clipped. */
const REACHES = [7, 7.5, 8, 8.5, 9, 9.5, 10, 11, 12]

/** Multiples of the channel's scale that the largest step may be. */
const MULTIPLES = [16, 15, 14, 13, 12, 11, 10, 9, 17, 18, 8, 7, 6, 5, 4, 3, 2, 1]

/** How often scale and groups are fitted to each other. */
const FITS = 3

/** Adding and subtracting this rounds a float64 to an integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 52

/** Searches the levels of output channels that have the same inputs. */
export class Int4Search {
  readonly #importance: Float64Array
  readonly #groups: number
  /** The best real steps of each group alone: [group][positive, negative]. */
  readonly #steps: Float64Array
  /** Their errors. */
  readonly #errors: Float64Array
  readonly #multipliers: Int8Array
  /** Those of the scale that is tried. */
  readonly #tried: Int8Array

  /**
   * @param inFeatures K
   * @param moments [K], the mean squares of the inputs, up to a factor; all alike where there are none
   */
  constructor(inFeatures: number, moments?: Float64Array | undefined) {
    const mean = moments?.reduce((sum, h) => sum + h / inFeatures, 0) ?? 0
    const isUseful = mean > 0 && Number.isFinite(mean)
    this.#importance = new Float64Array(inFeatures).map((_, k) =>
      isUseful ? (moments as Float64Array)[k] / mean + DAMPING : 1,
    )
    this.#groups = int4Strides(inFeatures).multipliers
    this.#steps = new Float64Array(2 * this.#groups)
    this.#errors = new Float64Array(2 * this.#groups)
    this.#multipliers = new Int8Array(this.#groups)
    this.#tried = new Int8Array(this.#groups)
  }

  /**
   * Searches a channel.
   *
   * @param w float32 [K]
   * @param levels receives v, int8 [K]
   * @param multipliers receives m, int8 [ceil(K / 32)]
   * @returns s, float32; NaN where the weights are not all finite
   */
  search(w: Float32Array, levels: Int8Array, multipliers: Int8Array): number {
    const absmax = w.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    if (!Number.isFinite(absmax)) return Number.NaN
    const largest = this.#searchGroups(w)
    let scale = Math.fround(Math.max(absmax, ABSMAX_FLOOR) / 7 / MOST_MULTIPLIER)
    let error = this.#choosePlainly(w, scale)
    for (const multiple of MULTIPLES) {
      const tried = Math.fround(largest / multiple)
      const triedError = this.#choose(w, tried, error)
      if (triedError >= error) continue
      error = triedError
      scale = tried
    }
    for (let i = 0; i < FITS; i++) {
      const fitted = this.#fit(w, scale)
      const fittedError = this.#choose(w, fitted, error)
      if (fittedError >= error) break
      error = fittedError
      scale = fitted
    }
    multipliers.set(this.#multipliers)
    for (let k = 0; k < w.length; k++) {
      levels[k] = nearestLevel(w[k], scale * multipliers[Math.floor(k / INT4_GROUP)])
    }
    return scale
  }

  /** Finds the best real steps of each group alone; returns the largest of those of the better sign. */
  #searchGroups(w: Float32Array): number {
    const steps = this.#steps
    const errors = this.#errors.fill(Number.POSITIVE_INFINITY)
    let largest = ABSMAX_FLOOR / 8
    for (let group = 0; group < this.#groups; group++) {
      const [from, to] = [group * INT4_GROUP, Math.min((group + 1) * INT4_GROUP, w.length)]
      let absmax = ABSMAX_FLOOR
      for (let k = from; k < to; k++) absmax = Math.max(absmax, Math.abs(w[k]))
      const [positive, negative] = [2 * group, 2 * group + 1]
      for (const reach of REACHES) {
        for (let at = positive; at <= negative; at++) {
          const step = (at === positive ? absmax : -absmax) / reach
          const error = errorOf(w, this.#importance, from, to, step)
          if (error >= errors[at]) continue
          errors[at] = error
          steps[at] = step
        }
      }
      const better = errors[positive] <= errors[negative] ? positive : negative
      largest = Math.max(largest, Math.abs(steps[better]))
    }
    return largest
  }

  /**
   * Chooses the least multipliers with which no weight is clipped, where the scale allows it for all.
   *
   * @returns the error
   */
  #choosePlainly(w: Float32Array, scale: number): number {
    let sum = 0
    for (let group = 0; group < this.#groups; group++) {
      const [from, to] = [group * INT4_GROUP, Math.min((group + 1) * INT4_GROUP, w.length)]
      let absmax = 0
      for (let k = from; k < to; k++) absmax = Math.max(absmax, Math.abs(w[k]))
      const least = Math.ceil(absmax / 7 / scale)
      this.#multipliers[group] = Math.min(MOST_MULTIPLIER, Math.max(1, least))
      sum += errorOf(w, this.#importance, from, to, scale * this.#multipliers[group])
    }
    return sum
  }

  /**
   * Chooses the multipliers for a scale.
   *
   * @param bound the error that is to be undercut
   * @returns the error; where it is below the bound, the multipliers are kept
   */
  #choose(w: Float32Array, scale: number, bound: number): number {
    if (!(scale > 0)) return Number.POSITIVE_INFINITY
    const errors = this.#errors
    let sum = 0
    for (let group = 0; group < this.#groups && sum < bound; group++) {
      const [from, to] = [group * INT4_GROUP, Math.min((group + 1) * INT4_GROUP, w.length)]
      const better = errors[2 * group] <= errors[2 * group + 1] ? 0 : 1
      let least = Number.POSITIVE_INFINITY
      for (const sign of [better, 1 - better]) {
        // with a multiple of the scale this sign is hardly better than with its own step
        if (errors[2 * group + sign] >= least) continue
        const most = sign === 0 ? MOST_MULTIPLIER : -LEAST_MULTIPLIER
        const exact = Math.abs(this.#steps[2 * group + sign]) / scale
        const below = Math.min(most, Math.max(1, Math.floor(exact)))
        for (let m = below; m <= Math.min(most, below + 1); m++) {
          const multiplier = sign === 0 ? m : -m
          const error = errorOf(w, this.#importance, from, to, scale * multiplier)
          if (error >= least) continue
          least = error
          this.#tried[group] = multiplier
        }
      }
      sum += least
    }
    if (sum < bound) this.#multipliers.set(this.#tried)
    return sum
  }

  /** The scale that fits the levels of another best. */
  #fit(w: Float32Array, scale: number): number {
    let [product, square] = [0, 0]
    for (let k = 0; k < w.length; k++) {
      const m = this.#multipliers[Math.floor(k / INT4_GROUP)]
      const q = nearestLevel(w[k], scale * m) * m
      product += this.#importance[k] * w[k] * q
      square += this.#importance[k] * q * q
    }
    return square === 0 ? scale : Math.fround(product / square)
  }
}

/** sum_k h[k] (w[k] - step v[k])^2 over [from, to), with the nearest levels. */
function errorOf(w: Float32Array, h: Float64Array, from: number, to: number, step: number): number {
  const inverse = 1 / step
  let sum = 0
  for (let k = from; k < to; k++) {
    const value = w[k]
    let v = value * inverse + ROUNDER - ROUNDER
    if (v > 7) v = 7
    else if (v < -8) v = -8
    const error = value - v * step
    sum += h[k] * error * error
  }
  return sum
}

/** clamp(rne(w / step), -8, 7) */
export function nearestLevel(w: number, step: number): number {
  const v = w * (1 / step) + ROUNDER - ROUNDER
  return Math.min(7, Math.max(-8, v))
}

/** Packs the levels of output channel n. */
export function packLevels(weight: Int4Weight, n: number, levels: Int8Array): void {
  const row = n * int4Strides(levels.length).nibbles
  for (let k = 0; k < levels.length; k += 2) {
    // the last high nibble of an odd row stands for 0
    const high = k + 1 < levels.length ? levels[k + 1] : 0
    const nibbles = (levels[k] + INT4_OFFSET) | ((high + INT4_OFFSET) << 4)
    weight.nibbles[row + (k >> 1)] = nibbles
  }
}
