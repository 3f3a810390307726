import { INT4_GROUP, INT4_OFFSET, int4Strides, LEAST_MULTIPLIER, MOST_MULTIPLIER } from './int4.js'
import { ABSMAX_FLOOR } from './quantize.js'

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
 *
 * The same float32 steps as native/src/kernels/float/search_s4.c, sums over k by lanes, as in sum16.ts. Weights are first
 * multiplied by a power of two, so that squares neither overflow nor vanish.
 */

const { fround } = Math

/** The share of the mean of h that is added to each: calibration has seen some tokens, and others will come. */
const DAMPING = 0.01

/** A group whose weights are all so small beside the channel's largest counts as zeros. */
const LEAST_ABSMAX = 2 ** -26

/** Levels that the largest weight of a group may have, as real numbers: beyond 8 it is clipped. */
const REACHES = [7, 7.5, 8, 8.5, 9, 9.5, 10, 11, 12]

/** Multiples of the channel's scale that the largest step may be. */
const MULTIPLES = [16, 15, 14, 13, 12, 11, 10, 9, 17, 18, 8, 7, 6, 5, 4, 3, 2, 1]

/** How often scale and groups are fitted to each other. */
const FITS = 3

/** Adding and subtracting this rounds a float32 to an integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 23

const LANES = 16

/**
 * How much each input counts: float32 [K padded to 32 with zeros].
 *
 * @param moments [K], the mean squares of the inputs, up to a factor; all alike where there are none
 */
export function importanceOf(inFeatures: number, moments: Float64Array | undefined): Float32Array {
  const importance = new Float32Array(int4Strides(inFeatures).multipliers * INT4_GROUP)
  const mean = moments?.reduce((sum, h) => sum + h / inFeatures, 0) ?? 0
  const isUseful = mean > 0 && Number.isFinite(mean)
  for (let k = 0; k < inFeatures; k++) {
    importance[k] = isUseful ? (moments as Float64Array)[k] / mean + DAMPING : 1
  }
  return importance
}

/** Searches the levels of output channels that have the same inputs. */
export class Int4Search {
  readonly #inFeatures: number
  readonly #importance: Float32Array
  readonly #groups: number
  /** The channel's weights, scaled and padded as the importance is. */
  readonly #x: Float32Array
  /** The best real steps of each group alone: [group][positive, negative]. */
  readonly #steps: Float32Array
  /** Their errors. */
  readonly #errors: Float32Array
  readonly #absmaxes: Float32Array
  readonly #multipliers: Int8Array
  /** Those of the scale that is tried. */
  readonly #tried: Int8Array
  readonly #lanes = new Float32Array(LANES)

  /** @param importance from {@link importanceOf} */
  constructor(inFeatures: number, importance: Float32Array) {
    this.#inFeatures = inFeatures
    this.#importance = importance
    this.#groups = int4Strides(inFeatures).multipliers
    this.#x = new Float32Array(this.#groups * INT4_GROUP)
    this.#steps = new Float32Array(2 * this.#groups)
    this.#errors = new Float32Array(2 * this.#groups)
    this.#absmaxes = new Float32Array(this.#groups)
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
    let absmax: number = ABSMAX_FLOOR
    for (const value of w) {
      if (!Number.isFinite(value)) return Number.NaN
      absmax = Math.max(absmax, Math.abs(value))
    }
    const unit = 2 ** Math.min(126, Math.floor(Math.log2(absmax)))
    for (let k = 0; k < w.length; k++) this.#x[k] = w[k] / unit
    const largest = this.#searchGroups()
    let scale = fround(fround(absmax / unit / 7) / MOST_MULTIPLIER)
    let error = this.#choosePlainly(scale)
    for (const multiple of MULTIPLES) {
      const tried = fround(largest / multiple)
      const triedError = this.#choose(tried, error)
      if (!(triedError < error)) continue
      error = triedError
      scale = tried
    }
    for (let i = 0; i < FITS; i++) {
      const fitted = this.#fit(scale)
      if (!(fitted > 0)) break
      const fittedError = this.#choose(fitted, error)
      if (!(fittedError < error)) break
      error = fittedError
      scale = fitted
    }
    multipliers.set(this.#multipliers)
    for (let group = 0; group < this.#groups; group++) {
      const inverse = fround(1 / fround(scale * multipliers[group]))
      const to = Math.min((group + 1) * INT4_GROUP, this.#inFeatures)
      for (let k = group * INT4_GROUP; k < to; k++) levels[k] = levelOf(this.#x[k], inverse)
    }
    return fround(scale * unit)
  }

  /** Finds the best real steps of each group alone; returns the largest of those of the better sign. */
  #searchGroups(): number {
    const [steps, errors] = [this.#steps, this.#errors]
    let largest = 0
    for (let group = 0; group < this.#groups; group++) {
      let most = 0
      const from = group * INT4_GROUP
      for (let k = from; k < from + INT4_GROUP; k++) most = Math.max(most, Math.abs(this.#x[k]))
      this.#absmaxes[group] = most
      const absmax = Math.max(most, LEAST_ABSMAX)
      const [positive, negative] = [2 * group, 2 * group + 1]
      for (let at = positive; at <= negative; at++) {
        let least = Number.POSITIVE_INFINITY
        for (const reach of REACHES) {
          const step = fround((at === positive ? absmax : -absmax) / reach)
          const error = this.#errorOf(group, step)
          if (!(error < least)) continue
          least = error
          steps[at] = step
        }
        errors[at] = least
      }
      const better = errors[positive] <= errors[negative] ? steps[positive] : -steps[negative]
      largest = Math.max(largest, better)
    }
    return largest
  }

  /**
   * Chooses the least multipliers with which no weight is clipped, where the scale allows it for all.
   *
   * @returns the error
   */
  #choosePlainly(scale: number): number {
    let sum = 0
    for (let group = 0; group < this.#groups; group++) {
      const least = Math.ceil(fround(fround(this.#absmaxes[group] / 7) / scale))
      this.#multipliers[group] = Math.min(MOST_MULTIPLIER, Math.max(1, least))
      sum = fround(sum + this.#errorOf(group, fround(scale * this.#multipliers[group])))
    }
    return sum
  }

  /**
   * Chooses the multipliers for a scale.
   *
   * @param bound the error that is to be undercut
   * @returns the error; where it is below the bound, the multipliers are kept
   */
  #choose(scale: number, bound: number): number {
    const errors = this.#errors
    let sum = 0
    for (let group = 0; group < this.#groups && sum < bound; group++) {
      const better = errors[2 * group] <= errors[2 * group + 1] ? 0 : 1
      let least = Number.POSITIVE_INFINITY
      for (const sign of [better, 1 - better]) {
        // with a multiple of the scale this sign is hardly better than with its own step
        if (!(errors[2 * group + sign] < least)) continue
        const most = sign === 0 ? MOST_MULTIPLIER : -LEAST_MULTIPLIER
        const exact = fround(Math.abs(this.#steps[2 * group + sign]) / scale)
        const below = Math.min(most, Math.max(1, Math.floor(exact)))
        for (let m = below; m <= Math.min(most, below + 1); m++) {
          const multiplier = sign === 0 ? m : -m
          const error = this.#errorOf(group, fround(scale * multiplier))
          if (!(error < least)) continue
          least = error
          this.#tried[group] = multiplier
        }
      }
      sum = fround(sum + least)
    }
    if (sum < bound) this.#multipliers.set(this.#tried)
    return sum
  }

  /** The scale that fits the levels of another best. */
  #fit(scale: number): number {
    const products = this.#lanes.fill(0)
    const squares = new Float32Array(LANES)
    for (let k = 0; k < this.#x.length; k++) {
      const m = this.#multipliers[(k / INT4_GROUP) | 0]
      const q = levelOf(this.#x[k], fround(1 / fround(scale * m))) * m
      const h = this.#importance[k]
      products[k % LANES] += fround(fround(h * this.#x[k]) * q)
      squares[k % LANES] += fround(fround(h * q) * q)
    }
    const square = sumOf(squares)
    return square === 0 ? scale : fround(sumOf(products) / square)
  }

  /** sum_k h[k] (x[k] - step v[k])^2 over a group, with the nearest levels. */
  #errorOf(group: number, step: number): number {
    const inverse = fround(1 / step)
    const [x, h, lanes] = [this.#x, this.#importance, this.#lanes]
    for (let l = 0, k = group * INT4_GROUP; l < LANES; l++, k++) {
      const near = fround(x[k] - fround(levelOf(x[k], inverse) * step))
      const far = fround(x[k + LANES] - fround(levelOf(x[k + LANES], inverse) * step))
      const square = fround(fround(h[k] * near) * near)
      lanes[l] = square + fround(fround(h[k + LANES] * far) * far)
    }
    return sumOf(lanes)
  }
}

/** clamp(rne(x * inverse), -8, 7) */
function levelOf(x: number, inverse: number): number {
  const v = fround(fround(x * inverse) + ROUNDER) - ROUNDER
  return Math.min(7, Math.max(-8, v))
}

/** The sum of the lanes, in the order of sum16.ts. */
function sumOf(lanes: Float32Array): number {
  const even = fround(quarterOf(lanes, 0) + quarterOf(lanes, 2))
  return fround(even + fround(quarterOf(lanes, 1) + quarterOf(lanes, 3)))
}

function quarterOf(lanes: Float32Array, l: number): number {
  return fround(fround(lanes[l] + lanes[l + 8]) + fround(lanes[l + 4] + lanes[l + 12]))
}

/** Packs levels of an output channel into its nibbles, uint8 [ceil(K / 2)]. */
export function packLevels(levels: Int8Array, nibbles: Uint8Array): void {
  for (let k = 0; k < levels.length; k += 2) {
    // the last high nibble of an odd row stands for 0
    const high = k + 1 < levels.length ? levels[k + 1] : 0
    nibbles[k >> 1] = (levels[k] + INT4_OFFSET) | ((high + INT4_OFFSET) << 4)
  }
}
