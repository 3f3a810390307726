/*
 * KL divergences of predictions of the next token from a reference's, p:
 *
 *   KL(p || q) = sum_n p[n] (log p[n] - log q[n]), log p[n] = l[n] - log sum_i e^l[i]
 *
 * over the tokens that the reference does not think next to impossible: there are few of them, and the exponentials of
 * all others take most of the time.
 */

/** Tokens less likely than so many times the mean are left out: together they are less likely than this. */
const UNLIKELY = 0.01

/** A row of the reference, of its likely tokens. */
interface Row {
  readonly tokens: Uint32Array
  /** p */
  readonly probabilities: Float64Array
  /** sum_n p[n] log p[n] */
  readonly negentropy: number
}

/** The predictions of a reference after each token of a text. */
export class Predictions {
  readonly #vocabSize: number
  readonly #rows: Row[] = []

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize
  }

  get rows(): number {
    return this.#rows.length
  }

  /** Adds a row. @param logits float32 [vocabSize]; where one is NaN, all divergences of the row are */
  add(logits: Float32Array): void {
    const least = logSumOf(logits) + Math.log(UNLIKELY / this.#vocabSize)
    const likely: number[] = []
    // the negation keeps a NaN
    for (let n = 0; n < logits.length; n++) if (!(logits[n] < least)) likely.push(n)
    const tokens = Uint32Array.from(likely)
    const kept = Float32Array.from(tokens, (n) => logits[n])
    const logSum = logSumOf(kept)
    const probabilities = Float64Array.from(kept, (logit) => Math.exp(logit - logSum))
    const negentropy = probabilities.reduce((sum, p, i) => sum + p * (kept[i] - logSum), 0)
    this.#rows.push({ tokens, probabilities, negentropy })
  }

  /**
   * The divergence of other predictions from those of a row, nats; NaN where a logit is NaN.
   *
   * @param logits float32 [vocabSize]
   */
  divergence(row: number, logits: Float32Array): number {
    const { tokens, probabilities, negentropy } = this.#rows[row]
    const own = new Float32Array(tokens.length)
    let mean = 0
    for (let i = 0; i < tokens.length; i++) {
      own[i] = logits[tokens[i]]
      mean += probabilities[i] * own[i]
    }
    // it is never negative, but rounding may make it so
    return Math.max(0, negentropy - mean + logSumOf(own))
  }
}

/** log sum_i e^l[i] */
function logSumOf(logits: Float32Array): number {
  let maximum = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) if (logits[i] > maximum) maximum = logits[i]
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - maximum)
  return maximum + Math.log(sum)
}
