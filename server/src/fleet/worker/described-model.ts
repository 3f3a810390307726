import type { Model } from 'dotpool'
import { type PackedTexts, packTexts } from '../texts.js'

/** What a worker finds out about a model once it is loaded. */
export interface DescribedModel {
  readonly fingerprint: string
  readonly texts: PackedTexts
  /** Tokens of a prompt in a second, and of an answer that is generated alone. */
  readonly prefillRate: number
  readonly decodeRate: number
}

/** What is run to measure the rates, tokens. */
const PROMPT = 64
const ANSWER = 9

export async function describeModel(model: Model): Promise<DescribedModel> {
  const texts = await packTexts(await model.textFiles())
  const fingerprint = await model.fingerprint()
  return { fingerprint, texts, ...(await measureRates(model)) }
}

async function measureRates(
  model: Model,
): Promise<Pick<DescribedModel, 'prefillRate' | 'decodeRate'>> {
  const { vocabSize } = model.config
  const answer = Math.min(ANSWER, model.maxContext - 1)
  const length = Math.max(1, Math.min(PROMPT, model.maxContext - answer))
  const prompt = Array.from({ length }, (_, i) => i % vocabSize)
  const start = performance.now()
  let first: number | undefined
  let last = start
  let tokens = 0
  for await (const chunk of model
    .generate(prompt, { maxTokens: answer, ignoreEnd: true })
    .chunks()) {
    last = performance.now()
    first ??= last
    tokens += chunk.tokens.length
  }
  const [prefillMillis, decodeMillis] = [(first ?? last) - start, last - (first ?? last)]
  return {
    prefillRate: ratePerSecond(length, prefillMillis),
    // one that has room for a single token decodes none
    decodeRate:
      tokens > 1 ? ratePerSecond(tokens - 1, decodeMillis) : ratePerSecond(1, prefillMillis),
  }
}

function ratePerSecond(tokens: number, millis: number): number {
  return (tokens * 1000) / Math.max(millis, 0.001)
}
