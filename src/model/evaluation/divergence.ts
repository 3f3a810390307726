/*
 * The next token by two models, p the reference's probabilities and q the other's:
 *
 *   KL(p || q) = sum_n p[n] (log p[n] - log q[n]), log p[n] = l[n] - log sum_i e^l[i]
 *
 * in float64, one row of logits at a time. https://en.wikipedia.org/wiki/Kullback-Leibler_divergence
 */

/** The comparison of two rows of logits. */
export interface Divergence {
  /** KL divergence of the model from the reference, nats; NaN where a logit is NaN. */
  readonly kl: number
  /** Whether both predict the same token as the likeliest, the first of several. */
  readonly sameBest: boolean
  /** log sum_i e^l[i] of each. */
  readonly logSum: number
  readonly referenceLogSum: number
}

/**
 * Compares two rows of logits.
 *
 * @param logits float32 [vocabSize], the model's
 * @param reference float32 [vocabSize]
 */
export function divergence(logits: Float32Array, reference: Float32Array): Divergence {
  const best = bestOf(logits)
  const referenceBest = bestOf(reference)
  const [maximum, referenceMaximum] = [logits[best], reference[referenceBest]]
  let [sum, referenceSum, difference] = [0, 0, 0]
  for (let n = 0; n < logits.length; n++) {
    const weight = Math.exp(reference[n] - referenceMaximum)
    sum += Math.exp(logits[n] - maximum)
    referenceSum += weight
    difference += weight * (reference[n] - logits[n])
  }
  const logSum = maximum + Math.log(sum)
  const referenceLogSum = referenceMaximum + Math.log(referenceSum)
  const kl = difference / referenceSum - (referenceLogSum - logSum)
  // it is never negative, but rounding may make it so
  return { kl: Math.max(0, kl), sameBest: best === referenceBest, logSum, referenceLogSum }
}

function bestOf(logits: Float32Array): number {
  let best = 0
  for (let n = 1; n < logits.length; n++) if (logits[n] > logits[best]) best = n
  return best
}
