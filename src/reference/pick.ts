import {
  BAD_ROW,
  PENALISED,
  PickAction,
  PickLayout as PickField,
  PickOutcome,
} from '../native/layout.js'
import { exp } from './exp.js'
import { rangeOf, type Share } from './share.js'
import { sum16 } from './sum16.js'

/*
 * The next id of each row of logits, or how likely a given one is:
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

export interface PickTask extends Share {
  /** float32 [M, N]; rows that are drawn from are written over. */
  logits: Float32Array
  /** dp_pick [M]. */
  picks: Uint32Array
  /** What is done to the logits of each row: dp_adjustment []. */
  adjustments: Uint32Array[]
  /** Scratch of each row, float32 [N]; none where no log probabilities are wanted. */
  copies: Float32Array[]
  /** Of each row, dp_candidate []: where the likeliest ids are told. */
  candidates: Uint32Array[]
}

/** Its share of the rows; the fault is the first of which nothing came. */
export function pickShare(task: PickTask): number {
  const { logits, picks } = task
  const M = picks.length / PickField.words
  const N = logits.length / M
  const [from, to] = rangeOf(task, M)
  let fault = 0
  for (let m = from; m < to; m++) {
    const row = logits.subarray(m * N, (m + 1) * N)
    const pick = picks.subarray(m * PickField.words, (m + 1) * PickField.words)
    const action = pick[PickField.action]
    if (action === PickAction.nothing) continue
    const outcome = action === PickAction.draw ? tellAndDraw(task, m, row, pick) : score(row, pick)
    pick[PickField.outcome] = outcome
    if (outcome === PickOutcome.outside) fault ||= BAD_ROW + m
    else if (outcome !== PickOutcome.picked) fault ||= m + 1
  }
  return fault
}

/** Draws an id, and tells what it was drawn from where that is asked for. */
function tellAndDraw(task: PickTask, m: number, logits: Float32Array, pick: Uint32Array): number {
  const adjustments = adjustmentsOf(task.adjustments[m])
  if (adjustments.some(({ id }) => id >= logits.length)) return PickOutcome.outside
  if (task.copies[m].length === 0) return draw(logits, pick, adjustments)
  const copy = logits.slice()
  pick[PickField.id] = 0
  if (score(copy, pick) !== PickOutcome.picked) return PickOutcome.notANumber
  const count = pick[PickField.candidateCount]
  tellBest(copy, task.candidates[m].subarray(0, 2 * count))
  const outcome = draw(logits, pick, adjustments)
  if (outcome === PickOutcome.picked) {
    floatsOf(pick)[PickField.logit] = copy[pick[PickField.id]]
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

/** What is done to a logit before an id is drawn. */
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

function draw(logits: Float32Array, pick: Uint32Array, adjustments: readonly Adjustment[]): number {
  const floats = floatsOf(pick)
  const temperature = floats[PickField.temperature]
  adjust(logits, adjustments, floats[PickField.penalty])
  const maximum = maximumOf(logits)
  if (Number.isNaN(maximum)) return PickOutcome.notANumber
  if (maximum === Number.NEGATIVE_INFINITY) return PickOutcome.masked
  if (temperature === 0) {
    pick[PickField.id] = logits.indexOf(maximum)
    return PickOutcome.picked
  }
  const weights = weigh(logits, maximum, temperature)
  const least = threshold(weights, pick)
  const total = BigInt(sumFrom(weights, least))
  const target = Number((BigInt(pick[PickField.random]) * total) >> 32n)
  let [id, sum] = [-1, 0]
  do {
    id++
    if (weights[id] >= least) sum += weights[id]
  } while (sum <= target)
  pick[PickField.id] = id
  return PickOutcome.picked
}

function score(logits: Float32Array, pick: Uint32Array): number {
  if (pick[PickField.id] >= logits.length) return PickOutcome.outside
  const maximum = maximumOf(logits)
  if (Number.isNaN(maximum)) return PickOutcome.notANumber
  const floats = floatsOf(pick)
  floats[PickField.logit] = logits[pick[PickField.id]]
  floats[PickField.maximum] = maximum
  floats[PickField.sum] = sum16(logits.map((logit) => exp(fround(logit - maximum))))
  return PickOutcome.picked
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

/** The least weight that may be drawn. All that tie with it may be drawn, too. */
function threshold(weights: Float64Array, pick: Uint32Array): number {
  const floats = floatsOf(pick)
  const [topK, topP, minP] = [pick[PickField.topK], floats[PickField.topP], floats[PickField.minP]]
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
