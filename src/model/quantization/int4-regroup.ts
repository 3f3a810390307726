import { INT4_GROUP, type Int4Weight, int4Strides } from '../../reference/int4.js'
import { Int4Search, importanceOf, packLevels } from '../../reference/int4-search.js'
import { rangeOf, type Share } from '../../reference/share.js'
import type { GroupedRows } from '../grouped/grouped-weight.js'
import { fitSteps, multiplierNear } from './int4-steps.js'
import { nearestLevel } from './nearest-level.js'

/** This module bundled, for threads to load. */
export const int4Regrouping = new URL('./int4-regroup.cjs', import.meta.url).href

/**
 * The error that a channel may have before it is quantised anew too, which takes several times as long: the sum of squares
 * over that of the weights. Four bits have made four times as much before.
 */
const LARGE_ERROR = 0.05 ** 2

/** Weights in four bits with float scales, v[n, k] * s[n, groupOf[k]], to be given integer multipliers. */
export interface RegroupTask extends Share, Int4Weight, GroupedRows {
  /** int32 [K] */
  groupOf: Int32Array
  /** float32 [N] */
  scale: Float32Array
}

/**
 * nibbles, multipliers, scale = regroup(levels, scales); returns 0, or 1 + a channel whose weights are not all finite.
 *
 * Where levels fit nibbles, and groups hold whole blocks of 32, a channel's scales are rounded to multiples of one. A
 * group keeps its levels if each is still the nearest to its weight, or else takes the multiple, and the levels, that err
 * least. Where that errs much, the channel is also quantised anew, and the better is taken; so is any other channel.
 */
export function regroupShare(task: RegroupTask): number {
  const { levels, scales, groupOf, multipliers, scale } = task
  const [from, to] = rangeOf(task, scale.length)
  const K = groupOf.length
  const groups = scales.length / scale.length
  const { multipliers: blocks, nibbles: bytes } = int4Strides(K)
  const channel = new ChannelRegroup(groupOf, groups)
  for (let n = from; n < to; n++) {
    const v = levels.subarray(n * K, (n + 1) * K)
    const steps = scales.subarray(n * groups, (n + 1) * groups)
    const m = multipliers.subarray(n * blocks, (n + 1) * blocks)
    scale[n] = channel.regroup(v, steps, m)
    if (Number.isNaN(scale[n])) return n + 1
    packLevels(channel.levels, task.nibbles.subarray(n * bytes, (n + 1) * bytes))
  }
  return 0
}

/** Regroups output channels that have the same groups. */
class ChannelRegroup {
  /** int8 [K], of the last channel. */
  readonly levels: Int8Array
  readonly #floats: Float32Array
  readonly #groupOf: Int32Array
  /** The group of each block of 32 inputs; undefined where some block has several. */
  readonly #groupOfBlock: Int32Array | undefined
  /** Of each group: the sum of squares, and the largest, of the levels. */
  readonly #energies: Float64Array
  readonly #largest: Float64Array
  readonly #multipliers: Int8Array
  readonly #search: Int4Search

  constructor(groupOf: Int32Array, groups: number) {
    this.levels = new Int8Array(groupOf.length)
    this.#floats = new Float32Array(groupOf.length)
    this.#groupOf = groupOf
    this.#groupOfBlock = groupsOfBlocks(groupOf)
    this.#energies = new Float64Array(groups)
    this.#largest = new Float64Array(groups)
    this.#multipliers = new Int8Array(groups)
    this.#search = new Int4Search(groupOf.length, importanceOf(groupOf.length, undefined))
  }

  /**
   * @param v int8 [K]
   * @param steps float32 [G]
   * @param multipliers receives m, int8 [ceil(K / 32)]
   * @returns the scale; NaN where a weight is not finite
   */
  regroup(v: Int8Array, steps: Float32Array, multipliers: Int8Array): number {
    const w = this.#floats
    for (let k = 0; k < w.length; k++) w[k] = v[k] * steps[this.#groupOf[k]]
    if (!w.every(Number.isFinite)) return Number.NaN
    const groups = this.#groupOfBlock
    if (groups === undefined || !v.every((level) => level >= -8 && level <= 7)) {
      return this.#search.search(w, this.levels, multipliers)
    }
    const scale = this.#roundSteps(v, steps, groups, multipliers)
    const error = errorOf(w, this.levels, scale, multipliers)
    if (error <= LARGE_ERROR * w.reduce((sum, value) => sum + value * value, 0)) return scale
    const levels = new Int8Array(v.length)
    const anew = new Int8Array(multipliers.length)
    const scaleAnew = this.#search.search(w, levels, anew)
    if (!(errorOf(w, levels, scaleAnew, anew) < error)) return scale
    this.levels.set(levels)
    multipliers.set(anew)
    return scaleAnew
  }

  /** Keeps the levels of each group, or rounds them, to multiples of one scale, which is returned. */
  #roundSteps(
    v: Int8Array,
    steps: Float32Array,
    groups: Int32Array,
    multipliers: Int8Array,
  ): number {
    this.#measure(v)
    const scale = fitSteps(steps, this.#energies, this.#multipliers)
    this.levels.set(v)
    for (let block = 0; block < groups.length; block++) {
      const group = groups[block]
      const [from, to] = [block * INT4_GROUP, Math.min((block + 1) * INT4_GROUP, v.length)]
      multipliers[block] = this.#areNearest(group, steps[group], scale)
        ? this.#multipliers[group]
        : roundBlock(v.subarray(from, to), steps[group], scale, this.levels.subarray(from, to))
    }
    return scale
  }

  #measure(v: Int8Array): void {
    this.#energies.fill(0)
    this.#largest.fill(0)
    for (let k = 0; k < v.length; k++) {
      const group = this.#groupOf[k]
      this.#energies[group] += v[k] * v[k]
      this.#largest[group] = Math.max(this.#largest[group], Math.abs(v[k]))
    }
  }

  /** Whether each weight of a group is nearer to its level times the rounded step than to any other. */
  #areNearest(group: number, step: number, scale: number): boolean {
    const rounded = scale * this.#multipliers[group]
    return this.#largest[group] * Math.abs(step - rounded) <= Math.abs(rounded) / 2
  }
}

/**
 * Rounds a block to the multiple of the scale that errs least, of those next to its step, and one of the other sign,
 * which reaches further on the other side.
 *
 * @param v int8 [at most 32]
 * @param levels receives those of the multiple
 * @returns the multiple
 */
function roundBlock(v: Int8Array, step: number, scale: number, levels: Int8Array): number {
  const exact = step / scale
  let best = { m: 1, error: Number.POSITIVE_INFINITY }
  for (const multiple of [Math.floor(exact), Math.ceil(exact), -exact]) {
    const m = multiplierNear(multiple)
    let error = 0
    for (const level of v) {
      const w = level * step
      error += (w - scale * m * nearestLevel(w, scale * m)) ** 2
    }
    if (error < best.error) best = { m, error }
  }
  for (let k = 0; k < v.length; k++) levels[k] = nearestLevel(v[k] * step, scale * best.m)
  return best.m
}

/** sum_k (w[k] - scale m[k / 32] v[k])^2 */
function errorOf(w: Float32Array, v: Int8Array, scale: number, multipliers: Int8Array): number {
  let sum = 0
  for (let k = 0; k < w.length; k++) {
    const error = w[k] - scale * multipliers[Math.floor(k / INT4_GROUP)] * v[k]
    sum += error * error
  }
  return sum
}

function groupsOfBlocks(groupOf: Int32Array): Int32Array | undefined {
  const blocks = Int32Array.from(
    { length: int4Strides(groupOf.length).multipliers },
    (_, block) => groupOf[block * INT4_GROUP],
  )
  const areWhole = groupOf.every((group, k) => group === blocks[Math.floor(k / INT4_GROUP)])
  return areWhole ? blocks : undefined
}
