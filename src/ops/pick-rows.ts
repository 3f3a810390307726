import { ArgumentError, checkInteger, describe } from '../errors.js'
import { PENALISED, PickAction, PickLayout as PickField, PickOutcome } from '../native/layout.js'
import type { Pool } from '../pool/pool.js'

export { PENALISED, PickAction, PickField, PickOutcome }

/** The id of a row from which none is drawn yet, and of a candidate that there is not. */
const NONE = 0xffffffff

/** Candidates of a row, at most. */
export const MAX_CANDIDATES = 20

/** The memory of a row's candidates. */
const CANDIDATES_BYTES = 8 * MAX_CANDIDATES

/** What came of a draw. The id is one only if it was picked. */
export interface Drawn {
  /** One of {@link PickOutcome}. */
  outcome: number
  id: number
}

/** How to draw an id; whoever sets it has checked it. */
export interface DrawOptions {
  /** Divides the logits; 0 takes the best id, the lowest of several. */
  temperature: number
  /** Only the so many likeliest ids; 0: all. */
  topK: number
  /** Of these, only the likeliest that have this probability together; 1: all. */
  topP: number
  /** Of these, only those at least so likely, relative to the likeliest; 0: all. */
  minP: number
  /** Repetition penalty: logits of penalised ids are divided by it, or multiplied if negative; 1: none. */
  penalty: number
  /** 32 uniform bits. */
  random: number
  /** dp_adjustment [], each of another id: what is done to logits first. In shared memory. */
  adjustments: Uint32Array
  /** Asks for log probabilities. */
  logProbs?: LogProbOptions | undefined
}

export interface LogProbOptions {
  /** Of so many of the likeliest ids, besides that of the one that is drawn: 0 to {@link MAX_CANDIDATES}. */
  count: number
  /** Scratch, float32 [N] in shared memory. */
  copy: Float32Array
}

/** log softmax(logits)[id] for logits as they came, before they are adjusted. */
export interface LogProbs {
  /** Of the id that was drawn. */
  logProb: number
  /** Of the likeliest ids, the likeliest first. */
  top: readonly { id: number; logProb: number }[]
}

/** What a probability is made of: e^(logit - maximum) / sum. */
export interface Score {
  logit: number
  /** The largest of the logits. */
  maximum: number
  /** sum_n e^(logits[n] - maximum) */
  sum: number
}

/** What to do with each of M rows of logits, and what came of it: dp_pick [M] in shared memory. */
export class PickRows {
  readonly words: Uint32Array
  /** What is done to the logits of each row. */
  readonly adjustments: Uint32Array[]
  /** Scratch of each row, float32 [N]; none where no log probabilities are wanted. */
  readonly copies: Float32Array[]
  /** The likeliest ids of each row, dp_candidate [MAX_CANDIDATES]. */
  readonly candidates: Uint32Array[]
  readonly #floats: Float32Array
  readonly #pool: Pool

  /** @param count M; at first nothing is done with any row */
  constructor(pool: Pool, count: number) {
    const bytes = pool.memory.bytes(count * PickField.words * 4)
    const length = count * PickField.words
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, length)
    this.#floats = new Float32Array(bytes.buffer, bytes.byteOffset, length)
    this.adjustments = Array.from({ length: count }, () => new Uint32Array(0))
    this.copies = Array.from({ length: count }, () => new Float32Array(0))
    const { buffer, byteOffset } = pool.memory.bytes(count * CANDIDATES_BYTES)
    this.candidates = Array.from({ length: count }, (_, m) => {
      return new Uint32Array(buffer, byteOffset + m * CANDIDATES_BYTES, 2 * MAX_CANDIDATES)
    })
    this.#pool = pool
  }

  /** Nothing shall come of row m. */
  skip(m: number): void {
    this.words[this.#at(m)] = PickAction.nothing
  }

  /** An id shall be drawn from row m, whose logits are written over. */
  draw(m: number, options: DrawOptions): void {
    const { adjustments, logProbs } = options
    const at = this.#at(m)
    this.#setAddress(at + PickField.adjustments, this.#addressOf('adjustments', adjustments))
    this.words[at] = PickAction.draw
    this.words[at + PickField.id] = NONE
    this.words[at + PickField.outcome] = 0
    this.#floats[at + PickField.temperature] = options.temperature
    this.#floats[at + PickField.topP] = options.topP
    this.#floats[at + PickField.minP] = options.minP
    this.#floats[at + PickField.penalty] = options.penalty
    this.words[at + PickField.topK] = options.topK
    this.words[at + PickField.random] = options.random
    this.words[at + PickField.adjustmentCount] = adjustments.length / 2
    this.adjustments[m] = adjustments
    this.copies[m] = logProbs?.copy ?? nothing
    this.#setAddress(at + PickField.copy, this.#addressOf('copy', this.copies[m]))
    this.#setAddress(at + PickField.candidates, this.#pool.addressOf(this.candidates[m]))
    this.words[at + PickField.candidateCount] = logProbs?.count ?? 0
  }

  /** Scores `id` against the logits of row m. */
  score(m: number, id: number): void {
    const at = this.#at(m)
    this.words[at + PickField.candidateCount] = 0
    this.words[at] = PickAction.score
    this.words[at + PickField.id] = id
    this.#floats[at + PickField.sum] = Number.NaN
  }

  /** What came of the draw from row m. */
  drawn(m: number): Drawn {
    const at = this.#at(m)
    return { outcome: this.words[at + PickField.outcome], id: this.words[at + PickField.id] }
  }

  /** What the draw from row m was made from; undefined where log probabilities were not asked for. */
  logProbs(m: number): LogProbs | undefined {
    if (this.copies[m].length === 0) return undefined
    const { logit, maximum, sum } = this.scored(m)
    const logSum = maximum === Infinity ? 0 : Math.log(sum)
    const logProbOf = (logit: number) => (logit === maximum ? 0 : logit - maximum) - logSum
    const ids = this.candidates[m]
    const logits = new Float32Array(ids.buffer, ids.byteOffset, ids.length)
    const top: { id: number; logProb: number }[] = []
    for (let i = 0; i < this.words[this.#at(m) + PickField.candidateCount]; i++) {
      if (ids[2 * i] === NONE) break
      top.push({ id: ids[2 * i], logProb: logProbOf(logits[2 * i + 1]) })
    }
    return { logProb: logProbOf(logit), top }
  }

  /** What was found out about row m; the sum is NaN if its logits hold one. */
  scored(m: number): Score {
    const at = this.#at(m)
    return {
      logit: this.#floats[at + PickField.logit],
      maximum: this.#floats[at + PickField.maximum],
      sum: this.#floats[at + PickField.sum],
    }
  }

  /** 0 where there are none; they are to lie where workers see them. */
  #addressOf(argument: string, array: Uint32Array | Float32Array): number {
    if (array.length === 0) return 0
    if (this.#pool.memory.sees(array)) return this.#pool.addressOf(array)
    throw new ArgumentError(argument, "the pool's memory", describe(array.buffer))
  }

  #setAddress(at: number, address: number): void {
    this.words[at] = address
    this.words[at + 1] = address / 2 ** 32
  }

  #at(m: number): number {
    checkInteger('m', m, 0, this.adjustments.length - 1)
    return m * PickField.words
  }
}

const nothing = new Float32Array(0)
