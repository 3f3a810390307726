import { randomInt } from 'node:crypto'
import { ArgumentError, checkInteger, describe } from '../../errors.js'
import type { DrawOptions } from '../../layouts/pick-rows.js'
import { checkOptions, type OptionNames } from '../../options.js'
import type { Memory } from '../../pool/memory.js'
import type { DrawSource } from '../decoder/jobs.js'
import { seededRandom } from './random.js'

/**
 * How the next id is chosen. In this order: the repetition penalty, the temperature, top-k, top-p and
 * min-p, as transformers does.
 */
export interface Sampling {
  /** Divides the logits: below 1 sharpens, above 1 flattens. 0, the default, takes the best id. */
  temperature?: number | undefined
  /** Only the so many best ids can be drawn. All by default. */
  topK?: number | undefined
  /** Only the best ids that together have this probability can be drawn. 1 by default. */
  topP?: number | undefined
  /** Only ids at least this times as likely as the best can be drawn. 0 by default. */
  minP?: number | undefined
  /**
   * Divides the positive logits of ids that the text holds already, and multiplies negative ones. 1 by
   * default. https://arxiv.org/abs/1909.05858
   */
  repetitionPenalty?: number | undefined
}

const samplingOptions: OptionNames<Sampling> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repetitionPenalty: true,
}

/** Tells a step how to draw the next id of one text. */
export class Sampler implements DrawSource {
  readonly #options: Omit<DrawOptions, 'random' | 'seen'>
  readonly #random: () => number
  /** What the text holds, each id once; only where that matters. */
  readonly #seen: Uint32Array | undefined
  readonly #known = new Set<number>()
  #givenBack: DrawOptions | undefined

  /**
   * @param memory where steps look for the ids to penalise
   * @param sampling as the caller gave it
   * @param seed an integer in [0, 2^32) makes the draws repeatable
   * @param ids of the prompt
   * @param capacity the most ids that the text may come to hold
   * @throws ArgumentError
   */
  constructor(
    memory: Memory,
    sampling: Sampling,
    seed: number | undefined,
    ids: ArrayLike<number>,
    capacity: number,
  ) {
    const checked = copySampling(sampling, seed)
    const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = checked
    this.#random = seededRandom(seed ?? randomInt(2 ** 32))
    this.#options = { temperature, topP, minP, topK, penalty: repetitionPenalty }
    if (repetitionPenalty !== 1) {
      const bytes = memory.bytes(capacity * 4)
      this.#seen = new Uint32Array(bytes.buffer, bytes.byteOffset, capacity)
    }
    for (let i = 0; i < ids.length; i++) this.accept(ids[i])
  }

  /** How to draw the next id; takes the next random number. */
  next(): DrawOptions {
    const given = this.#givenBack
    this.#givenBack = undefined
    if (given !== undefined) return given
    const seen = this.#seen?.subarray(0, this.#known.size) ?? nothing
    return { ...this.#options, random: this.#random() * 2 ** 32, seen }
  }

  giveBack(draw: DrawOptions): void {
    this.#givenBack = draw
  }

  /** With a penalty they depend on what was drawn. */
  get isForeseeable(): boolean {
    return this.#seen === undefined
  }

  /** The text has come to hold `id`. */
  accept(id: number): void {
    if (this.#seen === undefined || this.#known.has(id)) return
    this.#seen[this.#known.size] = id
    this.#known.add(id)
  }
}

const nothing = new Uint32Array(0)

/** A copy of what a caller gave, who may change theirs; an ArgumentError names what is out of range. */
export function copySampling(sampling: Sampling, seed: number | undefined): Sampling {
  const copy = checkOptions(sampling, samplingOptions, 'sampling')
  const { temperature = 0, topK, topP = 1, minP = 0, repetitionPenalty = 1 } = copy
  checkNumber('temperature', temperature, 'at least 0', (t) => t >= 0)
  if (topK !== undefined) checkInteger('topK', topK, 1, 2 ** 31)
  checkNumber('topP', topP, 'in (0, 1]', (p) => p > 0 && p <= 1)
  checkNumber('minP', minP, 'in [0, 1]', (p) => p >= 0 && p <= 1)
  checkNumber('repetitionPenalty', repetitionPenalty, 'above 0', (p) => Math.fround(p) > 0)
  if (seed !== undefined) checkInteger('seed', seed, 0, 2 ** 32 - 1)
  return copy
}

function checkNumber(
  argument: string,
  value: unknown,
  range: string,
  isFine: (value: number) => boolean,
): void {
  // C has it as a float32
  if (typeof value !== 'number' || !Number.isFinite(Math.fround(value)) || !isFine(value)) {
    throw new ArgumentError(argument, `a finite number ${range}`, describe(value))
  }
}
