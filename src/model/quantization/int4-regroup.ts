import { INT4_GROUP, type Int4Weight, int4Strides } from '../../reference/int4.js'
import { rangeOf, type Share } from '../../reference/share.js'
import type { GroupedRows } from '../packed/grouped-weight.js'
import { Int4Search, packLevels } from './int4-search.js'
import { fitSteps } from './int4-steps.js'

/** This module, for workers to import. */
export const int4Regrouping = import.meta.url

/** Weights in four bits with float scales, v[n, k] * s[n, groupOf[k]], to be given integer multipliers. */
export interface RegroupTask extends Share, Int4Weight, GroupedRows {
  /** int32 [K] */
  groupOf: Int32Array
  /** float32 [N] */
  scale: Float32Array
}

/**
 * nibbles, multipliers, scale = regroup(levels, scales); returns 0, or 1 + a channel whose scales are not all finite.
 *
 * A channel keeps its levels where they fit nibbles and its groups hold whole blocks of 32, and only its scales are
 * rounded: to multiples with which every level stays the nearest, or else where that errs less than quantising anew.
 */
export function regroupShare(task: RegroupTask): number {
  const { levels, scales, groupOf, multipliers, scale } = task
  const [from, to] = rangeOf(task, scale.length)
  const K = groupOf.length
  const groups = scales.length / scale.length
  const blocks = int4Strides(K).multipliers
  const channel = new ChannelRegroup(groupOf, groups)
  for (let n = from; n < to; n++) {
    const v = levels.subarray(n * K, (n + 1) * K)
    const steps = scales.subarray(n * groups, (n + 1) * groups)
    const m = multipliers.subarray(n * blocks, (n + 1) * blocks)
    scale[n] = channel.regroup(v, steps, m)
    if (Number.isNaN(scale[n])) return n + 1
    packLevels(task, n, channel.levels)
  }
  return 0
}

/** Regroups output channels that have the same groups. */
class ChannelRegroup {
  /** v: int8 [K], of the last channel. */
  levels: Int8Array
  readonly #groupOf: Int32Array
  /** The group of each block of 32 inputs; undefined where some block has several. */
  readonly #groupOfBlock: Int32Array | undefined
  readonly #energies: Float64Array
  readonly #largest: Float64Array
  readonly #fitted: Int8Array
  readonly #searched: Int8Array
  readonly #floats: Float32Array
  readonly #search: Int4Search

  constructor(groupOf: Int32Array, groups: number) {
    this.levels = new Int8Array(groupOf.length)
    this.#groupOf = groupOf
    this.#groupOfBlock = groupsOfBlocks(groupOf)
    this.#energies = new Float64Array(groups)
    this.#largest = new Float64Array(groups)
    this.#fitted = new Int8Array(groups)
    this.#searched = new Int8Array(groupOf.length)
    this.#floats = new Float32Array(groupOf.length)
    this.#search = new Int4Search(groupOf.length)
  }

  /**
   * @param v int8 [K]
   * @param steps float32 [G]
   * @param multipliers receives m, int8 [ceil(K / 32)]
   * @returns the scale; NaN where a step is not finite
   */
  regroup(v: Int8Array, steps: Float32Array, multipliers: Int8Array): number {
    if (!steps.every(Number.isFinite)) return Number.NaN
    const blocks = this.#groupOfBlock
    if (blocks === undefined || !v.every((level) => level >= -8 && level <= 7)) {
      return this.#quantise(v, steps, multipliers).scale
    }
    this.#measure(v)
    const kept = fitSteps(steps, this.#energies, this.#fitted)
    if (!this.#areNearest(steps, kept.scale)) {
      const anew = this.#quantise(v, steps, multipliers)
      if (anew.error < kept.error) return anew.scale
    }
    this.levels = v
    for (const [block, group] of blocks.entries()) multipliers[block] = this.#fitted[group]
    return kept.scale
  }

  /** The sum of squares, and the largest level, of each group. */
  #measure(v: Int8Array): void {
    this.#energies.fill(0)
    this.#largest.fill(0)
    for (let k = 0; k < v.length; k++) {
      const group = this.#groupOf[k]
      this.#energies[group] += v[k] * v[k]
      this.#largest[group] = Math.max(this.#largest[group], Math.abs(v[k]))
    }
  }

  /** Whether each weight v s is nearer to v scale m than to any other level. */
  #areNearest(steps: Float32Array, scale: number): boolean {
    return this.#fitted.every((m, group) => {
      const step = scale * m
      return this.#largest[group] * Math.abs(steps[group] - step) <= Math.abs(step) / 2
    })
  }

  /** Quantises the channel's floats, which leaves their levels in {@link levels}. */
  #quantise(
    v: Int8Array,
    steps: Float32Array,
    multipliers: Int8Array,
  ): { scale: number; error: number } {
    const w = this.#floats
    for (let k = 0; k < w.length; k++) w[k] = v[k] * steps[this.#groupOf[k]]
    this.levels = this.#searched
    const scale = this.#search.search(w, this.levels, multipliers)
    let error = 0
    for (let k = 0; k < w.length; k++) {
      const step = scale * multipliers[Math.floor(k / INT4_GROUP)]
      error += (w[k] - step * this.levels[k]) ** 2
    }
    return { scale, error }
  }
}

function groupsOfBlocks(groupOf: Int32Array): Int32Array | undefined {
  const blocks = Int32Array.from(
    { length: int4Strides(groupOf.length).multipliers },
    (_, block) => groupOf[block * INT4_GROUP],
  )
  const areWhole = groupOf.every((group, k) => group === blocks[Math.floor(k / INT4_GROUP)])
  return areWhole ? blocks : undefined
}
