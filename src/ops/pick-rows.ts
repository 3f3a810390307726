import { ArgumentError, checkInteger, describe } from '../errors.js'
import { PickAction, PickLayout as PickField, PickOutcome } from '../native/layout.js'
import type { Pool } from '../pool/pool.js'

export { PickAction, PickField, PickOutcome }

/** The id of a row from which none is drawn yet. */
const NOBODY = 0xffffffff

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
  /** Repetition penalty: logits of seen ids are divided by it, or multiplied if negative; 1: none. */
  penalty: number
  /** 32 uniform bits. */
  random: number
  /** The ids to penalise, each once; uint32 in shared memory. */
  seen: Uint32Array
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
  /** The ids to penalise in each row. */
  readonly seen: Uint32Array[]
  readonly #floats: Float32Array
  readonly #pool: Pool

  /** @param count M; at first nothing is done with any row */
  constructor(pool: Pool, count: number) {
    const bytes = pool.memory.bytes(count * PickField.words * 4)
    const length = count * PickField.words
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, length)
    this.#floats = new Float32Array(bytes.buffer, bytes.byteOffset, length)
    this.seen = Array.from({ length: count }, () => new Uint32Array(0))
    this.#pool = pool
  }

  /** Nothing shall come of row m. */
  skip(m: number): void {
    this.words[this.#at(m)] = PickAction.nothing
  }

  /** An id shall be drawn from row m, whose logits are written over. */
  draw(m: number, options: DrawOptions): void {
    const { seen } = options
    const address = this.#addressOf(seen)
    const at = this.#at(m)
    this.words[at] = PickAction.draw
    this.words[at + PickField.id] = NOBODY
    this.words[at + PickField.outcome] = 0
    this.#floats[at + PickField.temperature] = options.temperature
    this.#floats[at + PickField.topP] = options.topP
    this.#floats[at + PickField.minP] = options.minP
    this.#floats[at + PickField.penalty] = options.penalty
    this.words[at + PickField.topK] = options.topK
    this.words[at + PickField.random] = options.random
    this.words[at + PickField.seenCount] = seen.length
    this.words[at + PickField.seen] = address
    this.words[at + PickField.seen + 1] = address / 2 ** 32
    this.seen[m] = seen
  }

  /** It shall be found out how likely `id` is in row m. */
  score(m: number, id: number): void {
    const at = this.#at(m)
    this.words[at] = PickAction.score
    this.words[at + PickField.id] = id
    this.#floats[at + PickField.sum] = Number.NaN
  }

  /** What came of the draw from row m. */
  drawn(m: number): Drawn {
    const at = this.#at(m)
    return { outcome: this.words[at + PickField.outcome], id: this.words[at + PickField.id] }
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
  #addressOf(seen: Uint32Array): number {
    if (seen.length === 0) return 0
    if (this.#pool.memory.sees(seen)) return this.#pool.addressOf(seen)
    throw new ArgumentError('seen', "the pool's memory", describe(seen.buffer))
  }

  #at(m: number): number {
    checkInteger('m', m, 0, this.seen.length - 1)
    return m * PickField.words
  }
}
