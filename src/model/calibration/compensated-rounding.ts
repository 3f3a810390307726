import { bf16ToFloat32 } from '../../bf16.js'
import { INT4_GROUP, type Int4Weight, int4Strides } from '../../reference/int4.js'
import { quantizeChannel, roundWeight } from '../../reference/quantize.js'
import type { Share } from '../../reference/share.js'
import { rangeOf } from '../../reference/share.js'
import { Int4Search, nearestLevel, packLevels } from '../quantization/int4-search.js'

/*
 * Rounds the weights w[K] of each output channel to q[K] so that the Linear's outputs change least:
 *
 *   loss(q) = e H e^T, e = w - s q, s as in plain rounding, H as in hessian.ts
 *
 * To four bits q[k] is v[k] m[k / 32], where s and m are those that are best without compensation.
 *
 * The method is GPTQ (Frantar et al. 2022, https://arxiv.org/abs/2210.17323) in the form of LDLQ, which gives the same
 * q without an inverse (Chee et al. 2023, https://arxiv.org/abs/2307.13304). With H = R^T D R, R unit upper triangular,
 *
 *   loss(q) = sum_i D[i] (e[i] + sum_{j > i} R[i, j] e[j])^2
 *
 * so i runs from K - 1 down, and q[i] rounds w[i] plus the inner sum, which compensates the errors so far. Inputs are
 * sorted: those with the largest H[k, k] are rounded first, while all others can still compensate for them.
 *
 * Both functions run one share of an op, on threads that run TypeScript, and return 0, or 1 + the index of a fault.
 */

/** This module bundled, for threads to load. */
export const compensatedRounding = new URL('./compensated-rounding.cjs', import.meta.url).href

/** The share of the mean of H[k, k] that is added to each: calibration has seen some tokens, and others will come. */
const DAMPING = 0.01

/** H = R^T D R, of sorted inputs, in memory that all threads see. */
export interface Factor {
  /** float64 [K, K]; R[i, j] counts where j > i. */
  readonly r: Float64Array
  /** float64 [K]: D. */
  readonly d: Float64Array
  /** The input at each position: uint32 [K]. */
  readonly order: Uint32Array
  /** float64 [K]: H[k, k]. */
  readonly moments: Float64Array
}

export interface FactorTask extends Share {
  /** float64 [K, K] */
  hessian: Float64Array
  factor: Factor
}

/** R^T D R = H[order, order] + damping; the first share does all of it. */
export function factorShare({
  hessian,
  factor: { r, d, order, moments },
  part,
}: FactorTask): number {
  if (part > 0) return 0
  const K = d.length
  const diagonal = d.map((_, k) => hessian[k * K + k])
  // where all inputs are zero any H works
  const damping = (DAMPING * diagonal.reduce((sum, h) => sum + h, 0)) / K || 1
  moments.set(diagonal)
  order.set(order.map((_, k) => k).sort((a, b) => diagonal[a] - diagonal[b] || b - a))
  for (let i = 0; i < K; i++) {
    for (let j = i; j < K; j++) r[i * K + j] = hessian[order[i] * K + order[j]]
    r[i * K + i] += damping
  }
  for (let i = 0; i < K; i++) {
    let l = 0
    for (; l + 4 <= i; l += 4) subtractRows(r, d, i, l)
    const row = r.subarray(i * K, (i + 1) * K)
    for (; l < i; l++) {
      const times = d[l] * r[l * K + i]
      for (let j = i; j < K; j++) row[j] -= times * r[l * K + j]
    }
    d[i] = row[i]
    for (let j = i; j < K; j++) row[j] /= d[i]
  }
  return 0
}

/**
 * R[i] -= sum over four l of D[l] R[l, i] R[l], from the diagonal on: four at a time, because memory bandwidth is the
 * bottleneck.
 */
function subtractRows(r: Float64Array, d: Float64Array, i: number, l: number): void {
  const K = d.length
  const [a, b, c, e] = [l * K, (l + 1) * K, (l + 2) * K, (l + 3) * K]
  const timesA = d[l] * r[a + i]
  const timesB = d[l + 1] * r[b + i]
  const timesC = d[l + 2] * r[c + i]
  const timesE = d[l + 3] * r[e + i]
  for (let j = i, at = i * K + i; j < K; j++, at++) {
    r[at] -= timesA * r[a + j] + timesB * r[b + j] + timesC * r[c + j] + timesE * r[e + j]
  }
}

export interface RoundTask extends Share {
  factor: Factor
  /** float32 or bfloat16 bits [N, stride]; the first K of a row count. */
  weight: Float32Array | Uint16Array
  stride: number
  /** int8 [N, K], or four bits. */
  q: Int8Array | Int4Weight
  /** float32 [N] */
  scale: Float32Array
}

/** Output channels that are rounded together, so that one read of R's elements serves all of them. */
const CHANNELS = 8

/** q, scale = round(weight); keeps plain rounding for a channel where its loss is lower. */
export function roundShare(task: RoundTask): number {
  const { factor, weight, stride, q, scale } = task
  const K = factor.d.length
  const [from, to] = rangeOf(task, scale.length)
  const rows = new Rows(factor, q instanceof Int8Array ? undefined : q)
  for (let first = from; first < to; first += CHANNELS) {
    const last = Math.min(first + CHANNELS, to)
    for (let n = first; n < last; n++) {
      const row = weight.subarray(n * stride, n * stride + K)
      const float = row instanceof Float32Array ? row : bf16ToFloat32(row)
      scale[n] = rows.set(n - first, n, float)
      if (Number.isNaN(scale[n])) return n + 1
    }
    rows.round()
    for (let n = first; n < last; n++) {
      const levels = rows.get(n - first)
      if (q instanceof Int8Array) q.set(levels, n * K)
      else packLevels(q, n, levels)
    }
  }
  return 0
}

/** Some output channels with sorted inputs, rounded with compensation, and plainly where that loses less. */
class Rows {
  readonly #factor: Factor
  readonly #int4: { weight: Int4Weight; search: Int4Search } | undefined
  readonly #weights: Float32Array[]
  /** s of each weight, or s m: what it is a multiple of. */
  readonly #steps: Float64Array[]
  readonly #plain: Int8Array[]
  readonly #compensated: Int8Array[]
  /** Of one way at a time: [K][channel]. */
  readonly #errors: Float64Array
  readonly #plainLosses = new Float64Array(CHANNELS)
  readonly #losses = new Float64Array(CHANNELS)

  /** @param int4 receives the multipliers, if weights are rounded to four bits */
  constructor(factor: Factor, int4: Int4Weight | undefined) {
    const K = factor.d.length
    const each = <T>(make: () => T) => Array.from({ length: CHANNELS }, make)
    this.#factor = factor
    this.#int4 = int4 && { weight: int4, search: new Int4Search(K, factor.moments) }
    this.#steps = each(() => new Float64Array(K).fill(1))
    this.#weights = each(() => new Float32Array(K))
    this.#plain = each(() => new Int8Array(K))
    this.#compensated = each(() => new Int8Array(K))
    this.#errors = new Float64Array(K * CHANNELS)
  }

  /** Loads the weights of output channel n; returns their scale, or NaN where they are not all finite. */
  set(channel: number, n: number, weight: Float32Array): number {
    this.#weights[channel].set(weight)
    return this.#roundPlainly(channel, n, weight)
  }

  #roundPlainly(channel: number, n: number, weight: Float32Array): number {
    const [steps, plain] = [this.#steps[channel], this.#plain[channel]]
    if (this.#int4 === undefined) {
      const scale = quantizeChannel(weight, plain)
      steps.fill(scale)
      return scale
    }
    const groups = int4Strides(weight.length).multipliers
    const multipliers = this.#int4.weight.multipliers.subarray(n * groups, (n + 1) * groups)
    const scale = this.#int4.search.search(weight, plain, multipliers)
    for (let k = 0; k < steps.length; k++)
      steps[k] = scale * multipliers[Math.floor(k / INT4_GROUP)]
    return scale
  }

  /** The result for a channel after {@link round}. */
  get(channel: number): Int8Array {
    const isBetter = this.#losses[channel] <= this.#plainLosses[channel]
    return isBetter ? this.#compensated[channel] : this.#plain[channel]
  }

  round(): void {
    this.#compensate()
    this.#measurePlain()
  }

  #compensate(): void {
    const { r, d, order } = this.#factor
    const roundTo = this.#int4 === undefined ? roundWeight : nearestLevel
    const errors = this.#errors
    const losses = this.#losses.fill(0)
    const K = d.length
    const sums = new Float64Array(CHANNELS)
    for (let i = K - 1; i >= 0; i--) {
      addProducts(r, i * K + i + 1, errors, CHANNELS * (i + 1), sums.fill(0))
      const k = order[i]
      for (let channel = 0; channel < CHANNELS; channel++) {
        const [w, step] = [this.#weights[channel][k], this.#steps[channel][k]]
        const rounded = roundTo(w + sums[channel], step)
        const error = w - step * rounded
        this.#compensated[channel][k] = rounded
        errors[CHANNELS * i + channel] = error
        losses[channel] += d[i] * (error + sums[channel]) ** 2
      }
    }
  }

  /** Adds up the losses of plain rounding, only until each is at least that of the other way: they never fall. */
  #measurePlain(): void {
    const { r, d, order } = this.#factor
    const errors = this.#errors
    const losses = this.#plainLosses.fill(0)
    const K = d.length
    const sums = new Float64Array(CHANNELS)
    for (let i = K - 1; i >= 0; i--) {
      addProducts(r, i * K + i + 1, errors, CHANNELS * (i + 1), sums.fill(0))
      const k = order[i]
      let areAllWorse = true
      for (let channel = 0; channel < CHANNELS; channel++) {
        const step = this.#steps[channel][k]
        const error = this.#weights[channel][k] - step * this.#plain[channel][k]
        errors[CHANNELS * i + channel] = error
        losses[channel] += d[i] * (error + sums[channel]) ** 2
        if (!(losses[channel] >= this.#losses[channel])) areAllWorse = false
      }
      if (areAllWorse) return
    }
  }
}

/** sums[8] += sum_j r[j] * errors[j, 8], to the end of `errors`: the inner loop, which keeps its sums in registers. */
function addProducts(
  r: Float64Array,
  fromR: number,
  errors: Float64Array,
  fromErrors: number,
  sums: Float64Array,
): void {
  let [a, b, c, d] = [0, 0, 0, 0]
  let [e, f, g, h] = [0, 0, 0, 0]
  for (let j = fromR, at = fromErrors; at < errors.length; j++, at += 8) {
    const factor = r[j]
    a += factor * errors[at]
    b += factor * errors[at + 1]
    c += factor * errors[at + 2]
    d += factor * errors[at + 3]
    e += factor * errors[at + 4]
    f += factor * errors[at + 5]
    g += factor * errors[at + 6]
    h += factor * errors[at + 7]
  }
  sums.set([a, b, c, d, e, f, g, h])
}
