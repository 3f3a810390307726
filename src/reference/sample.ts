import {
  BAD_ROW,
  PENALISED,
  SampleAction,
  SampleLayout as SampleField,
  SampleOutcome,
} from '../native/layout.js'
import { exp } from './exp.js'
import { rangeOf, type Share } from './share.js'
import { sum16 } from './sum16.js'

/*
 * The next id of each row of logits, or how likely a given one is; l as adjusted, and -Infinity where a mask has no bit:
 *
 *   W[n] = floor(e^((l[n] - max l) / temperature) * 2^30), of which top-k, then top-p, then min-p admit some;
 *   id = the first n at which the running sum of admitted W is above random / 2^32 of their sum
 *
 * Whole numbers, so that sums are exact in any order. Repetition penalty: https://arxiv.org/abs/1909.05858,
 * top-p: https://arxiv.org/abs/1904.09751, min-p: https://arxiv.org/abs/2407.01082.
 */

const { fround } = Math

/** The id of a candidate that there is not. */
const NONE = 0xffffffff

/** The weight of the best id. */
const MOST = 2 ** 30

export interface SampleTask extends Share {
  /** float32 [M, N]; rows that are sampled from are written over. */
  logits: Float32Array
  /** dp_sample [M]. */
  samples: Uint32Array
  /** What is done to the logits of each row: dp_adjustment []. */
  adjustments: Uint32Array[]
  /** Scratch of each row, float32 [N]; none where no log probabilities are wanted. */
  copies: Float32Array[]
  /** Of each row a tag, and then a bit for each id that may be sampled; none where all may. */
  masks: Uint32Array[]
  /** Of each row, dp_candidate []: where the likeliest ids are told. */
  candidates: Uint32Array[]
}

/** Its share of the rows; the fault is the first of which nothing came. */
export function sampleShare(task: SampleTask): number {
  const { logits, samples } = task
  const M = samples.length / SampleField.words
  const N = logits.length / M
  const [from, to] = rangeOf(task, M)
  let fault = 0
  for (let m = from; m < to; m++) {
    const row = logits.subarray(m * N, (m + 1) * N)
    const sample = samples.subarray(m * SampleField.words, (m + 1) * SampleField.words)
    const action = sample[SampleField.action]
    if (action === SampleAction.nothing) continue
    const outcome =
      action === SampleAction.token ? describeAndSample(task, m, row, sample) : score(row, sample)
    sample[SampleField.outcome] = outcome
    if (outcome === SampleOutcome.outside) fault ||= BAD_ROW + m
    else if (outcome !== SampleOutcome.done) fault ||= m + 1
  }
  return fault
}

/** Samples an id, and tells what it was sampled from where that is asked for. */
function describeAndSample(
  task: SampleTask,
  m: number,
  logits: Float32Array,
  sample: Uint32Array,
): number {
  const adjustments = adjustmentsOf(task.adjustments[m])
  if (adjustments.some(({ id }) => id >= logits.length)) return SampleOutcome.outside
  const mask = task.masks[m]
  // its bits are written before its tag
  if (mask.length > 0 && Atomics.load(mask, 0) !== sample[SampleField.maskTag]) {
    return SampleOutcome.late
  }
  if (task.copies[m].length === 0) return sampleToken(logits, sample, adjustments, mask)
  const copy = logits.slice()
  sample[SampleField.id] = 0
  if (score(copy, sample) !== SampleOutcome.done) return SampleOutcome.notANumber
  const count = sample[SampleField.candidateCount]
  tellBest(copy, task.candidates[m].subarray(0, 2 * count))
  const outcome = sampleToken(logits, sample, adjustments, mask)
  if (outcome === SampleOutcome.done) {
    floatsOf(sample)[SampleField.logit] = copy[sample[SampleField.id]]
  }
  return outcome
}

/** The largest logits, the largest first, of equal ones the lower id; -Infinity is none. */
function tellBest(logits: Float32Array, candidates: Uint32Array): void {
  const ids = [...logits.keys()].filter((id) => logits[id] > Number.NEGATIVE_INFINITY)
  const best = ids.sort((a, b) => logits[b] - logits[a] || a - b)
  for (let i = 0; i < candidates.length / 2; i++) {
    candidates[2 * i] = best[i] ?? NONE
    floatsOf(candidates)[2 * i + 1] = logits[best[i]] ?? Number.NEGATIVE_INFINITY
  }
}

/** What is done to a logit before an id is sampled. */
interface Adjustment {
  id: number
  isPenalised: boolean
  addend: number
}

function adjustmentsOf(words: Uint32Array): Adjustment[] {
  const floats = floatsOf(words)
  return Array.from({ length: words.length / 2 }, (_, i) => ({
    id: words[2 * i] % PENALISED,
    isPenalised: words[2 * i] >= PENALISED,
    addend: floats[2 * i + 1],
  }))
}

function sampleToken(
  logits: Float32Array,
  sample: Uint32Array,
  adjustments: readonly Adjustment[],
  mask: Uint32Array,
): number {
  const floats = floatsOf(sample)
  const temperature = floats[SampleField.temperature]
  adjust(logits, adjustments, floats[SampleField.penalty])
  if (mask.length > 0) applyMask(logits, mask)
  const maximum = maximumOf(logits)
  if (Number.isNaN(maximum)) return SampleOutcome.notANumber
  if (maximum === Number.NEGATIVE_INFINITY) return SampleOutcome.masked
  if (temperature === 0) {
    sample[SampleField.id] = logits.indexOf(maximum)
    return SampleOutcome.done
  }
  const weights = weigh(logits, maximum, temperature)
  const least = threshold(weights, sample)
  const total = BigInt(sumFrom(weights, least))
  const target = Number((BigInt(sample[SampleField.random]) * total) >> 32n)
  let [id, sum] = [-1, 0]
  do {
    id++
    if (weights[id] >= least) sum += weights[id]
  } while (sum <= target)
  sample[SampleField.id] = id
  return SampleOutcome.done
}

function score(logits: Float32Array, sample: Uint32Array): number {
  if (sample[SampleField.id] >= logits.length) return SampleOutcome.outside
  const maximum = maximumOf(logits)
  if (Number.isNaN(maximum)) return SampleOutcome.notANumber
  const floats = floatsOf(sample)
  floats[SampleField.logit] = logits[sample[SampleField.id]]
  floats[SampleField.maximum] = maximum
  floats[SampleField.sum] = sum16(logits.map((logit) => exp(fround(logit - maximum))))
  return SampleOutcome.done
}

function floatsOf(words: Uint32Array): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset, words.length)
}

function maximumOf(logits: Float32Array): number {
  return logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
}

function adjust(logits: Float32Array, adjustments: readonly Adjustment[], penalty: number): void {
  for (const { id, isPenalised, addend } of adjustments) {
    if (isPenalised) logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty
    logits[id] += addend
  }
}

function applyMask(logits: Float32Array, mask: Uint32Array): void {
  for (let id = 0; id < logits.length; id++) {
    const isAllowed = (mask[1 + (id >> 5)] >> (id & 31)) & 1
    if (isAllowed === 0) logits[id] = Number.NEGATIVE_INFINITY
  }
}

/** Where the best is +Infinity, all that equal it weigh the same and all others nothing. */
function weigh(logits: Float32Array, maximum: number, temperature: number): Float64Array {
  const weight = Number.isFinite(maximum)
    ? (logit: number) => exp(fround(fround(logit - maximum) / temperature))
    : (logit: number) => Number(logit === maximum)
  return Float64Array.from(logits, (logit) => Math.floor(weight(logit) * MOST))
}

/** The sum of all weights that are at least `least`. */
function sumFrom(weights: Float64Array, least: number): number {
  return weights.reduce((sum, weight) => (weight >= least ? sum + weight : sum), 0)
}

/** The least weight that may be sampled. All that tie with it may be sampled, too. */
function threshold(weights: Float64Array, sample: Uint32Array): number {
  const floats = floatsOf(sample)
  const [topK, topP, minP] = [
    sample[SampleField.topK],
    floats[SampleField.topP],
    floats[SampleField.minP],
  ]
  const N = weights.length
  let least = 1
  if ((topK > 0 && topK < N) || topP < 1) {
    const ascending = weights.slice().sort()
    if (topK > 0 && topK < N) least = Math.max(least, ascending[N - topK])
    if (topP < 1) {
      const goal = topP * sumFrom(weights, least)
      let [n, sum] = [N, 0]
      do sum += ascending[--n]
      while (sum < goal)
      least = ascending[n]
    }
  }
  return Math.max(least, Math.ceil(Math.min(minP, 1) * MOST))
}
