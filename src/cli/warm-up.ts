import type { Model } from '../model/model.js'

/** About how long a prompt may take whose time is measured, milliseconds. */
const BUDGET = 2000

/** The longest such prompt, tokens. */
const LONGEST = 256

/**
 * Runs a model, so that the first request finds it warm.
 *
 * @returns how many tokens of prompts it computes in a second
 */
export async function warmUp(model: Model): Promise<number> {
  await prefill(model, 1)
  const start = performance.now()
  await prefill(model, 1)
  // tokens of a prompt take less time than they would one by one
  const affordable = Math.floor(BUDGET / (performance.now() - start))
  const before = model.stats()
  await prefill(model, Math.max(3, Math.min(affordable, LONGEST, model.maxContext - 1)))
  const after = model.stats()
  const micros = after.prefillMicros - before.prefillMicros
  return ((after.prefillTokens - before.prefillTokens) * 1e6) / micros
}

async function prefill(model: Model, length: number): Promise<void> {
  const { vocabSize } = model.config
  const tokens = Array.from({ length }, (_, i) => i % vocabSize)
  await model.generate(tokens, { maxTokens: 1 }).result
}
