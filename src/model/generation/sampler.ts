import { randomInt } from 'node:crypto'
import { ArgumentError, checkInteger, describe } from '../../errors.js'
import { type DrawOptions, type LogProbOptions, PENALISED } from '../../ops/pick-rows.js'
import { checkOptions, type OptionNames } from '../../options.js'
import type { Memory } from '../../pool/memory.js'
import type { Sampler } from '../decoder/generate-request.js'
import { randomBits } from './philox.js'

/**
 * How the next token is sampled. In this order: the repetition penalty, the other penalties and biases, the
 * temperature, top-k, top-p and min-p.
 */
export interface Sampling {
  /** Divides the logits: below 1 sharpens, above 1 flattens. 0, the default, takes the likeliest token. */
  temperature?: number | undefined
  /** Samples from so many of the likeliest tokens only. All by default. */
  topK?: number | undefined
  /** Samples from the likeliest tokens that together have this probability only. 1 by default. */
  topP?: number | undefined
  /** Samples from tokens at least this times as likely as the likeliest only. 0 by default. */
  minP?: number | undefined
  /**
   * Divides the positive logits of tokens that the prompt or the text holds already, and multiplies negative ones.
   * 1 by default. https://arxiv.org/abs/1909.05858
   */
  repetitionPenalty?: number | undefined
  /** Subtracted from the logit of a token, so many times as the text, without its prompt, holds it. 0 by default. */
  frequencyPenalty?: number | undefined
  /** Subtracted from the logits of tokens that the text, without its prompt, holds. 0 by default. */
  presencePenalty?: number | undefined
  /** Added to the logits of tokens, by their ids; -Infinity forbids one. */
  logitBias?: Readonly<Record<number, number>> | undefined
  /** Makes the text repeatable: an integer in [0, 2^53). Random by default. */
  seed?: number | undefined
}

const samplingOptions: OptionNames<Sampling> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repetitionPenalty: true,
  frequencyPenalty: true,
  presencePenalty: true,
  logitBias: true,
  seed: true,
}

/** Seeds that nobody chose. */
const SEEDS = 2 ** 48 - 1

/** Samples the tokens of one text. What it draws at a position depends on the tokens before it and the seed only. */
export class TokenSampler implements Sampler {
  readonly isForeseeable: boolean
  readonly #options: Omit<DrawOptions, 'random' | 'adjustments'>
  readonly #seed: number
  readonly #adjustments: Adjustments
  readonly #frequencyPenalty: number
  readonly #presencePenalty: number
  readonly #counts = new Map<number, number>()

  /**
   * @param memory where steps find adjustments of logits
   * @param sampling checked by {@link copySampling}
   * @param prompt its tokens
   * @param capacity the most tokens that the sequence may come to have
   * @param logProbs what is to be told of every token
   */
  constructor(
    memory: Memory,
    sampling: Sampling,
    prompt: ArrayLike<number>,
    capacity: number,
    logProbs: LogProbOptions | undefined,
  ) {
    const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = sampling
    const { frequencyPenalty = 0, presencePenalty = 0, logitBias = {} } = sampling
    this.#options = { temperature, topK, topP, minP, penalty: repetitionPenalty, logProbs }
    this.#seed = sampling.seed ?? randomInt(SEEDS)
    this.#frequencyPenalty = frequencyPenalty
    this.#presencePenalty = presencePenalty
    this.isForeseeable = repetitionPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0
    const biases = Object.entries(logitBias)
    this.#adjustments = new Adjustments(memory, biases.length + (this.isForeseeable ? 0 : capacity))
    for (const [token, bias] of biases) this.#adjustments.of(Number(token)).add(bias)
    if (repetitionPenalty === 1) return
    for (let i = 0; i < prompt.length; i++) this.#adjustments.of(prompt[i]).penalise()
  }

  at(position: number): DrawOptions {
    const random = randomBits(this.#seed, position)
    return { ...this.#options, random, adjustments: this.#adjustments.words }
  }

  accept(token: number): void {
    if (this.isForeseeable) return
    const count = (this.#counts.get(token) ?? 0) + 1
    this.#counts.set(token, count)
    const adjustment = this.#adjustments.of(token)
    if (this.#options.penalty !== 1) adjustment.penalise()
    adjustment.add(-this.#frequencyPenalty - (count === 1 ? this.#presencePenalty : 0))
  }
}

const nothing = new Uint8Array(0)

/** What is done to logits before a token is drawn, one entry for each token: dp_adjustment [] in shared memory. */
class Adjustments {
  readonly #ids: Uint32Array
  readonly #addends: Float32Array
  readonly #indices = new Map<number, number>()

  constructor(memory: Memory, capacity: number) {
    const { buffer, byteOffset } = capacity === 0 ? nothing : memory.bytes(8 * capacity)
    this.#ids = new Uint32Array(buffer, byteOffset, 2 * capacity)
    this.#addends = new Float32Array(buffer, byteOffset, 2 * capacity)
  }

  /** Those that there are. */
  get words(): Uint32Array {
    return this.#ids.subarray(0, 2 * this.#indices.size)
  }

  /** The one of a token, which is made if there is none. */
  of(token: number): { penalise(): void; add(addend: number): void } {
    const known = this.#indices.get(token)
    const at = 2 * (known ?? this.#indices.size)
    if (known === undefined) {
      this.#indices.set(token, at / 2)
      this.#ids[at] = token
    }
    return {
      penalise: () => {
        this.#ids[at] |= PENALISED
      },
      add: (addend) => {
        this.#addends[at + 1] += addend
      },
    }
  }
}

/**
 * A copy of what a caller gave, who may change theirs.
 *
 * @throws ArgumentError that names what is out of range
 */
export function copySampling(sampling: Sampling, vocabSize: number): Sampling {
  const copy = checkOptions(sampling, samplingOptions, 'sampling')
  const { temperature = 0, topK, topP = 1, minP = 0, seed, logitBias } = copy
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0 } = copy
  checkNumber('temperature', temperature, 'at least 0', (t) => t >= 0)
  if (topK !== undefined) checkInteger('topK', topK, 1, 2 ** 31)
  checkNumber('topP', topP, 'in (0, 1]', (p) => p > 0 && p <= 1)
  checkNumber('minP', minP, 'in [0, 1]', (p) => p >= 0 && p <= 1)
  checkNumber('repetitionPenalty', repetitionPenalty, 'above 0', (p) => Math.fround(p) > 0)
  checkNumber('frequencyPenalty', frequencyPenalty)
  checkNumber('presencePenalty', presencePenalty)
  if (seed !== undefined) checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER)
  return logitBias === undefined ? copy : { ...copy, logitBias: copyBias(logitBias, vocabSize) }
}

function copyBias(
  logitBias: Readonly<Record<number, number>>,
  vocabSize: number,
): Record<number, number> {
  if (typeof logitBias !== 'object' || logitBias === null || Array.isArray(logitBias)) {
    throw new ArgumentError('logitBias', 'an object of numbers by token id', describe(logitBias))
  }
  const copy = { ...logitBias }
  for (const [token, bias] of Object.entries(copy)) {
    if (!/^(0|[1-9]\d*)$/.test(token) || Number(token) >= vocabSize) {
      throw new ArgumentError('logitBias', `token ids in [0, ${vocabSize})`, describe(token))
    }
    if (bias === -Infinity) continue
    checkNumber(`logitBias[${token}]`, bias, 'or -Infinity')
  }
  return copy
}

function checkNumber(
  argument: string,
  value: unknown,
  range = '',
  isFine: (value: number) => boolean = () => true,
): void {
  // C has it as a float32
  if (typeof value !== 'number' || !Number.isFinite(Math.fround(value)) || !isFine(value)) {
    throw new ArgumentError(argument, `a finite number ${range}`.trim(), describe(value))
  }
}
