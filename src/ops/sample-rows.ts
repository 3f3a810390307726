import { ArgumentError, checkInteger, describe } from '../errors.js'
import {
  PENALISED,
  SampleAction,
  SampleLayout as SampleField,
  SampleOutcome,
} from '../native/layout.js'
import type { Pool } from '../pool/pool.js'

export { PENALISED, SampleOutcome }

/** The id of a row from which none is sampled yet, and of a candidate that there is not. */
const NONE = 0xffffffff

/** Candidates of a row, at most. */
export const MAX_CANDIDATES = 20

/** The memory of a row's candidates. */
const CANDIDATES_BYTES = 8 * MAX_CANDIDATES

/** The outcome of a sampled row. The id is a token only if there is one. */
export interface Sampled {
  /** One of {@link SampleOutcome}. */
  outcome: number
  id: number
}

/** How to sample an id; whoever sets it has checked it. */
export interface SampleOptions {
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
  /** Leaves no other tokens than those of a mask. */
  mask?: MaskOptions | undefined
}

export interface MaskOptions {
  /** A tag, and then a bit for each id; uint32 [1 + ceil(N / 32)] in shared memory. It may be written meanwhile. */
  words: Uint32Array
  /** The tag of the mask that is meant: the outcome is `late` where there is another one. */
  tag: number
}

export interface LogProbOptions {
  /** Of so many of the likeliest ids, besides that of the one that is sampled: 0 to {@link MAX_CANDIDATES}. */
  count: number
  /** Scratch, float32 [N] in shared memory. */
  copy: Float32Array
}

/** log softmax(logits)[id] for logits as they came, before they are adjusted. */
export interface LogProbs {
  /** Of the id that was sampled. */
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

/** What to do with each of M rows of logits, and what came of it: dp_sample [M] in shared memory. */
export class SampleRows {
  readonly words: Uint32Array
  /** What is done to the logits of each row. */
  readonly adjustments: Uint32Array[]
  /** Scratch of each row, float32 [N]; none where no log probabilities are wanted. */
  readonly copies: Float32Array[]
  /** The mask of each row; empty where there is none. */
  readonly masks: Uint32Array[]
  /** The likeliest ids of each row, dp_candidate [MAX_CANDIDATES]. */
  readonly candidates: Uint32Array[]
  readonly #floats: Float32Array
  readonly #pool: Pool

  /** @param count M; at first nothing is done with any row */
  constructor(pool: Pool, count: number) {
    const bytes = pool.memory.bytes(count * SampleField.words * 4)
    const length = count * SampleField.words
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, length)
    this.#floats = new Float32Array(bytes.buffer, bytes.byteOffset, length)
    this.adjustments = Array.from({ length: count }, () => new Uint32Array(0))
    this.copies = Array.from({ length: count }, () => new Float32Array(0))
    this.masks = Array.from({ length: count }, () => new Uint32Array(0))
    const { buffer, byteOffset } = pool.memory.bytes(count * CANDIDATES_BYTES)
    this.candidates = Array.from({ length: count }, (_, m) => {
      return new Uint32Array(buffer, byteOffset + m * CANDIDATES_BYTES, 2 * MAX_CANDIDATES)
    })
    this.#pool = pool
  }

  /** Leaves the logits of row m as they are. */
  skip(m: number): void {
    this.words[this.#at(m)] = SampleAction.nothing
  }

  /** Samples a token from row m, and overwrites its logits. */
  sample(m: number, options: SampleOptions): void {
    const { adjustments, logProbs, mask } = options
    const at = this.#at(m)
    this.#setAddress(at + SampleField.adjustments, this.#addressOf('adjustments', adjustments))
    this.words[at] = SampleAction.token
    this.words[at + SampleField.id] = NONE
    this.words[at + SampleField.outcome] = 0
    this.#floats[at + SampleField.temperature] = options.temperature
    this.#floats[at + SampleField.topP] = options.topP
    this.#floats[at + SampleField.minP] = options.minP
    this.#floats[at + SampleField.penalty] = options.penalty
    this.words[at + SampleField.topK] = options.topK
    this.words[at + SampleField.random] = options.random
    this.words[at + SampleField.adjustmentCount] = adjustments.length / 2
    this.adjustments[m] = adjustments
    this.copies[m] = logProbs?.copy ?? nothing
    this.#setAddress(at + SampleField.copy, this.#addressOf('copy', this.copies[m]))
    this.#setAddress(at + SampleField.candidates, this.#pool.addressOf(this.candidates[m]))
    this.words[at + SampleField.candidateCount] = logProbs?.count ?? 0
    this.masks[m] = mask?.words ?? noMask
    this.#setAddress(at + SampleField.mask, this.#addressOf('mask', this.masks[m]))
    this.words[at + SampleField.maskTag] = mask?.tag ?? 0
  }

  /** Scores `id` against the logits of row m. */
  score(m: number, id: number): void {
    const at = this.#at(m)
    this.words[at + SampleField.candidateCount] = 0
    this.words[at] = SampleAction.score
    this.words[at + SampleField.id] = id
    this.#floats[at + SampleField.sum] = Number.NaN
  }

  /** The token sampled from row m. */
  sampled(m: number): Sampled {
    const at = this.#at(m)
    return { outcome: this.words[at + SampleField.outcome], id: this.words[at + SampleField.id] }
  }

  /** What the sample from row m was made from; undefined where log probabilities were not asked for. */
  logProbs(m: number): LogProbs | undefined {
    if (this.copies[m].length === 0) return undefined
    const { logit, maximum, sum } = this.scored(m)
    const logSum = maximum === Infinity ? 0 : Math.log(sum)
    const logProbOf = (logit: number) => (logit === maximum ? 0 : logit - maximum) - logSum
    const ids = this.candidates[m]
    const logits = new Float32Array(ids.buffer, ids.byteOffset, ids.length)
    const top: { id: number; logProb: number }[] = []
    for (let i = 0; i < this.words[this.#at(m) + SampleField.candidateCount]; i++) {
      if (ids[2 * i] === NONE) break
      top.push({ id: ids[2 * i], logProb: logProbOf(logits[2 * i + 1]) })
    }
    return { logProb: logProbOf(logit), top }
  }

  /** The score of row m; its sum is NaN if the logits contain one. */
  scored(m: number): Score {
    const at = this.#at(m)
    return {
      logit: this.#floats[at + SampleField.logit],
      maximum: this.#floats[at + SampleField.maximum],
      sum: this.#floats[at + SampleField.sum],
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
    return m * SampleField.words
  }
}

const nothing = new Float32Array(0)
const noMask = new Uint32Array(0)
