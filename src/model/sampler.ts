import { randomInt } from 'node:crypto'
import { ArgumentError, checkInteger, describe } from '../errors.js'
import { seededRandom } from './random.js'

export interface SamplerOptions {
  /** Divides the logits: below 1 sharpens, above 1 flattens. 0, the default, takes the best id. */
  temperature?: number | undefined
  /** Only the so many best ids can be drawn. All by default. */
  topK?: number | undefined
  /** Only the best ids that together have this probability can be drawn. 1 by default. */
  topP?: number | undefined
  /** Makes the draws repeatable: an integer in [0, 2^32). */
  seed?: number | undefined
}

/** Draws the next id from logits: temperature, then top-k, then top-p, as transformers does. */
export class Sampler {
  readonly #temperature: number
  readonly #topK: number
  readonly #topP: number
  readonly #random: () => number

  /** @throws ArgumentError */
  constructor({ temperature = 0, topK, topP = 1, seed }: SamplerOptions = {}) {
    if (!(temperature >= 0 && Number.isFinite(temperature))) {
      throw new ArgumentError('temperature', 'a finite number, at least 0', describe(temperature))
    }
    if (topK !== undefined) checkInteger('topK', topK, 1, 2 ** 31)
    if (!(topP > 0 && topP <= 1)) {
      throw new ArgumentError('topP', 'a number in (0, 1]', describe(topP))
    }
    if (seed !== undefined) checkInteger('seed', seed, 0, 2 ** 32 - 1)
    this.#temperature = temperature
    this.#topK = topK ?? Number.POSITIVE_INFINITY
    this.#topP = topP
    this.#random = seededRandom(seed ?? randomInt(2 ** 32))
  }

  /**
   * @param logits float32 [vocabSize], without NaN
   * @returns the id; of equally good ones the lowest where the temperature is 0
   * @throws ArgumentError if a logit is NaN
   */
  pick(logits: Float32Array): number {
    const best = argmax(logits)
    if (this.#temperature === 0) return best
    const weightOf = (logit: number) => Math.exp((logit - logits[best]) / this.#temperature)
    const least = this.#leastLogit(logits, weightOf)
    let total = 0
    for (const logit of logits) if (logit >= least) total += weightOf(logit)
    let left = this.#random() * total
    for (let id = 0; id < logits.length; id++) {
      if (logits[id] < least) continue
      left -= weightOf(logits[id])
      if (left < 0) return id
    }
    return best // rounding left a crumb
  }

  /** The smallest logit that top-k and top-p admit. Ids that tie with it are admitted, too. */
  #leastLogit(logits: Float32Array, weightOf: (logit: number) => number): number {
    if (this.#topK >= logits.length && this.#topP === 1) return Number.NEGATIVE_INFINITY
    const best = logits.slice().sort().reverse().subarray(0, this.#topK)
    let total = 0
    for (const logit of best) total += weightOf(logit)
    let sum = 0
    for (const logit of best) {
      sum += weightOf(logit)
      if (sum >= this.#topP * total) return logit
    }
    return best[best.length - 1]
  }
}

/** The index of the largest value, the lowest of several. */
function argmax(values: Float32Array): number {
  let best = 0
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) throw new ArgumentError('logits', 'numbers', `NaN at id ${i}`)
    if (values[i] > values[best]) best = i
  }
  return best
}
