import { setImmediate } from 'node:timers/promises'
import { ArgumentError, checkCallback, checkSignal, NotANumberError } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { cutWindows } from '../generation/nll.js'
import { checkModel, type Model } from '../model.js'
import { divergence } from './divergence.js'

/** Logits of each model in memory, bytes. */
const PIECE_BYTES = 32 << 20

export interface CompareOptions {
  /** Tokens per window. 256 by default, or the context where that is shorter. */
  window?: number | undefined
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Called every few tokens with the tokens done so far, and the total. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

const compareOptions: OptionNames<CompareOptions> = {
  window: true,
  signal: checkSignal,
  onProgress: checkCallback,
}

/** How well a model predicts a text. */
export interface Likelihood {
  /** Mean negative log likelihood, nats per predicted token. */
  nll: number
  /** e^nll */
  perplexity: number
}

/** The distance of a model's predictions of the next token from a reference's. */
export interface Comparison {
  /** Tokens in windows: after each of them both predict the next. */
  tokens: number
  /** KL divergence of the model from the reference, nats, over all tokens. */
  kl: { mean: number; p50: number; p99: number; max: number }
  /** The share of tokens after which both predict the same token as the likeliest. */
  sameBest: number
  model: Likelihood
  reference: Likelihood
}

/**
 * Compares a model's predictions with those of a reference: usually the same checkpoint in int8 and in float32. The
 * text is divided into windows as for {@link Model.nll}; both models run a few tokens at a time, so that memory grows
 * by only a few bytes per token.
 *
 * @param tokens at least two, copied at once; windows of them are independent sequences
 * @throws ArgumentError, DisposedError, NotANumberError, the signal's reason, and errors of the pool
 */
export async function compareModels(
  model: Model,
  reference: Model,
  tokens: ArrayLike<number>,
  options: CompareOptions = {},
): Promise<Comparison> {
  checkModels(model, reference)
  const { window, signal, onProgress } = checkOptions(options, compareOptions)
  const maxContext = Math.min(model.maxContext, reference.maxContext)
  const { vocabSize } = model.config
  const rows = Math.max(1, Math.floor(PIECE_BYTES / (4 * vocabSize)))
  const copy = model.decoder.copyTokens(tokens)
  const windows = cutWindows(copy, maxContext, window)
  const total = windows.length * windows[0].length
  const tally = new Tally(total)
  for (const window of windows) {
    for (let from = 0; from < window.length; from += rows) {
      // what comes before the piece is in the prefix cache
      const piece = window.subarray(0, from + rows)
      const options = { from, goesOn: piece.length < window.length, signal }
      const logits = await model.decoder.logits(piece, options)
      const expected = await reference.decoder.logits(piece, options)
      for (let i = 0; i < piece.length - from; i++) {
        const rowOf = (matrix: Float32Array) => matrix.subarray(i * vocabSize, (i + 1) * vocabSize)
        tally.add(rowOf(logits), rowOf(expected), window, from + i)
        // a row takes a millisecond or two, so other work gets its turn between rows
        await setImmediate()
        signal?.throwIfAborted()
      }
      onProgress?.(tally.tokens, total)
    }
  }
  return tally.comparison()
}

/** @throws ArgumentError unless both models have the same vocabulary size */
export function checkModels(model: Model, reference: Model): void {
  checkModel(model)
  checkModel(reference, 'reference')
  const [size, other] = [model, reference].map(({ config }) => config.vocabSize)
  if (size !== other) {
    throw new ArgumentError('reference', `a vocabulary of ${size} tokens`, `${other}`)
  }
}

/** The sums over rows. */
class Tally {
  tokens = 0
  readonly #divergences: Float64Array
  #predicted = 0
  #sameBest = 0
  #nll = 0
  #referenceNll = 0

  constructor(tokens: number) {
    this.#divergences = new Float64Array(tokens)
  }

  /** @param i the position of the logits' token in the window */
  add(logits: Float32Array, reference: Float32Array, window: Uint32Array, i: number): void {
    const { kl, sameBest, logSum, referenceLogSum } = divergence(logits, reference)
    if (Number.isNaN(kl)) throw new NotANumberError('logits', i)
    this.#divergences[this.tokens++] = kl
    if (sameBest) this.#sameBest++
    if (i + 1 === window.length) return
    this.#predicted++
    this.#nll += logSum - logits[window[i + 1]]
    this.#referenceNll += referenceLogSum - reference[window[i + 1]]
  }

  comparison(): Comparison {
    const { tokens } = this
    const sorted = this.#divergences.toSorted()
    const quantile = (share: number) => sorted[Math.ceil(share * tokens) - 1]
    const mean = sorted.reduce((sum, kl) => sum + kl, 0) / tokens
    return {
      tokens,
      kl: { mean, p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) },
      sameBest: this.#sameBest / tokens,
      model: likelihood(this.#nll / this.#predicted),
      reference: likelihood(this.#referenceNll / this.#predicted),
    }
  }
}

function likelihood(nll: number): Likelihood {
  return { nll, perplexity: Math.exp(nll) }
}
