import { bf16ToFloat32 } from '../../bf16.js'
import { INT4_GROUP, type Int4Weight, int4Strides } from '../../reference/int4.js'
import { packLevels } from '../../reference/int4-search.js'
import { quantizeChannel, roundWeight } from '../../reference/quantize.js'
import type { Share } from '../../reference/share.js'
import { rangeOf } from '../../reference/share.js'
import { nearestLevel } from '../quantization/nearest-level.js'
import { BLOCK, type Factor } from './factor.js'

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
 * Inputs come in blocks, as in factor.ts. Of the inner sum, what comes from other blocks is a product of matrices,
 * which the pool computes for many channels at once, in float32 (see solver.ts); the rest is added up here.
 *
 * The functions run one share of an op, on threads that run TypeScript, and return 0, or 1 + the index of a fault.
 */

/** This module bundled, for threads to load. */
export const compensatedRounding = new URL('./compensated-rounding.cjs', import.meta.url).href

/** Some output channels C, in memory that all threads see; inputs are sorted. */
export interface Channels {
  /** float32 [C, K] */
  readonly weights: Float32Array
  /** s, or s m, of each weight: float32 [C, K]. */
  readonly steps: Float32Array
  /** v of compensated rounding, or q: int8 [C, K]. */
  readonly levels: Int8Array
  /** e of one way to round at a time: float32 [C, K]. */
  readonly errors: Float32Array
  /** sum_j R[i, j] e[j] over j in other blocks, of the i of one block: float32 [C, BLOCK]. */
  readonly sums: Float32Array
  /** The losses of compensated and of plain rounding, as far as they are added up: float64 [C]. */
  readonly losses: Float64Array
  readonly plainLosses: Float64Array
}

/** What channels become. */
export interface Rounded {
  /** int8 [N, K], or four bits. */
  readonly q: Int8Array | Int4Weight
  /** float32 [N] */
  readonly scale: Float32Array
}

/** Channels of a Linear that are rounded together. */
export interface ChannelsTask extends Share {
  factor: Factor
  channels: Channels
  rounded: Rounded
  /** Channels [first, first + count). */
  first: number
  count: number
}

export interface StepsTask extends ChannelsTask {
  /** float32 or bfloat16 bits [N, stride]; the first K of a row count. */
  weight: Float32Array | Uint16Array
  stride: number
}

/** weights, steps, and the scales of int8; four bits have theirs, and multipliers, already. */
export function stepsShare(task: StepsTask): number {
  const { factor, channels, rounded, first, weight, stride } = task
  const { order } = factor
  const { q, scale } = rounded
  const K = order.length
  const groups = int4Strides(K).multipliers
  const plain = new Int8Array(K)
  const [from, to] = rangeOf(task, task.count)
  for (let c = from; c < to; c++) {
    const n = first + c
    const row = weight.subarray(n * stride, n * stride + K)
    const float = row instanceof Float32Array ? row : bf16ToFloat32(row)
    if (q instanceof Int8Array) scale[n] = quantizeChannel(float, plain)
    if (Number.isNaN(scale[n])) return n + 1
    for (let i = 0; i < K; i++) {
      const k = order[i]
      const m = q instanceof Int8Array ? 1 : q.multipliers[n * groups + ((k / INT4_GROUP) | 0)]
      channels.weights[c * K + i] = float[k]
      channels.steps[c * K + i] = scale[n] * m
    }
  }
  return 0
}

export interface BlockTask extends ChannelsTask {
  /** Where the block begins. */
  block: number
}

/** Output channels that are rounded together, so that one read of R's elements serves all of them. */
const SIDE = 8

/** Rounds one block of inputs with compensation: levels, errors; adds to the losses. */
export function roundBlockShare(task: BlockTask): number {
  const { channels, rounded } = task
  const { weights, steps, levels, errors, losses } = channels
  const { d } = task.factor
  const K = d.length
  const roundTo = rounded.q instanceof Int8Array ? roundWeight : nearestLevel
  const block = new InnerSums(task)
  for (const first of block) {
    for (let i = block.last - 1; i >= task.block; i--) {
      block.add(i)
      for (let channel = 0; channel < block.count; channel++) {
        const c = first + channel
        const at = c * K + i
        const sum = block.sums[channel]
        const level = roundTo(weights[at] + sum, steps[at])
        const error = weights[at] - steps[at] * level
        levels[at] = level
        errors[at] = error
        block.setError(i, channel, error)
        losses[c] += d[i] * (error + sum) * (error + sum)
      }
    }
  }
  return 0
}

/** The errors of plain rounding. */
export function plainErrorsShare(task: ChannelsTask): number {
  const { channels, rounded } = task
  const { weights, steps, errors } = channels
  const K = task.factor.d.length
  const roundTo = rounded.q instanceof Int8Array ? roundWeight : nearestLevel
  const [from, to] = rangeOf(task, task.count)
  for (let at = from * K; at < to * K; at++) {
    errors[at] = weights[at] - steps[at] * roundTo(weights[at], steps[at])
  }
  return 0
}

/** Adds to the losses of plain rounding what comes from one block of inputs. */
export function plainLossShare(task: BlockTask): number {
  const { errors, plainLosses } = task.channels
  const { d } = task.factor
  const K = d.length
  const block = new InnerSums(task)
  for (const first of block) {
    for (let i = block.last - 1; i >= task.block; i--) {
      block.add(i)
      for (let channel = 0; channel < block.count; channel++) {
        const c = first + channel
        const error = errors[c * K + i]
        block.setError(i, channel, error)
        const change = error + block.sums[channel]
        plainLosses[c] += d[i] * change * change
      }
    }
  }
  return 0
}

/** The inner sums of a block of inputs, of some channels side by side, which goes from its end to its beginning. */
class InnerSums {
  /** Where the block ends. */
  readonly last: number
  /** Of one input. */
  readonly sums = new Float64Array(SIDE)
  /** Channels that are side by side now, at most SIDE. */
  count = 0
  readonly #task: BlockTask
  /** Of the block's inputs: [input][channel]. */
  readonly #errors: Float64Array
  #first = 0

  constructor(task: BlockTask) {
    this.#task = task
    this.last = Math.min(task.block + BLOCK, task.factor.d.length)
    this.#errors = new Float64Array(SIDE * (this.last - task.block))
  }

  /** The first of the channels that are side by side, in turn. */
  *[Symbol.iterator](): Generator<number> {
    const [from, to] = rangeOf(this.#task, this.#task.count)
    for (this.#first = from; this.#first < to; this.#first += SIDE) {
      this.count = Math.min(SIDE, to - this.#first)
      yield this.#first
    }
  }

  /** Adds up the sums of input i. */
  add(i: number): void {
    const { block, factor, channels } = this.#task
    const { sums } = this
    const at = i - block
    addProducts(factor.near, i * BLOCK + at + 1, this.#errors, SIDE * (at + 1), sums)
    if (this.last === factor.d.length) return
    const far = this.#first * BLOCK + at
    for (let channel = 0; channel < this.count; channel++) {
      sums[channel] += channels.sums[far + channel * BLOCK]
    }
  }

  setError(i: number, channel: number, error: number): void {
    this.#errors[SIDE * (i - this.#task.block) + channel] = error
  }
}

/** sums[8] = sum_j r[j] * errors[j, 8], to the end of `errors`: the inner loop, which keeps its sums in registers. */
function addProducts(
  r: Float32Array,
  fromR: number,
  errors: Float64Array,
  fromErrors: number,
  sums: Float64Array,
): void {
  // no arrays: what is taken out of one is not kept in registers
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  let e = 0
  let f = 0
  let g = 0
  let h = 0
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
  sums[0] = a
  sums[1] = b
  sums[2] = c
  sums[3] = d
  sums[4] = e
  sums[5] = f
  sums[6] = g
  sums[7] = h
}

/** Takes for each channel what loses less. */
export function chooseShare(task: ChannelsTask): number {
  const { factor, channels, rounded, first } = task
  const { weights, steps, levels, losses, plainLosses } = channels
  const { order } = factor
  const { q } = rounded
  const K = order.length
  const roundTo = q instanceof Int8Array ? roundWeight : nearestLevel
  const chosen = new Int8Array(K)
  const [from, to] = rangeOf(task, task.count)
  for (let c = from; c < to; c++) {
    const isBetter = losses[c] <= plainLosses[c]
    for (let i = 0; i < K; i++) {
      const at = c * K + i
      chosen[order[i]] = isBetter ? levels[at] : roundTo(weights[at], steps[at])
    }
    if (q instanceof Int8Array) q.set(chosen, (first + c) * K)
    else packLevels(chosen, nibblesOf(q, first + c, K))
  }
  return 0
}

/** The nibbles of an output channel. */
function nibblesOf({ nibbles }: Int4Weight, n: number, inFeatures: number): Uint8Array {
  const stride = int4Strides(inFeatures).nibbles
  return nibbles.subarray(n * stride, (n + 1) * stride)
}
