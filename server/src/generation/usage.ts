import type { GenerationResult } from 'dotpool'
import type { UsageBody } from '../schemas/common.js'
import type { ChoicePart } from './choices.js'

/** The results of all choices, in their order. */
export function resultsOf(parts: readonly ChoicePart[]): GenerationResult[] {
  const results: GenerationResult[] = []
  for (const { index, result } of parts) if (result !== undefined) results[index] = result
  return results
}

/**
 * What an answer took.
 *
 * @param results of all choices
 * @param choices for each prompt, which counts once
 */
export function toUsage(results: readonly GenerationResult[], choices: number): UsageBody {
  const firsts = results.filter((_, i) => i % choices === 0)
  const prompt_tokens = sum(firsts, ({ usage }) => usage.promptTokens)
  const completion_tokens = sum(results, ({ usage }) => usage.completionTokens)
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: sum(firsts, ({ usage }) => usage.cachedTokens) },
  }
}

function sum<Item>(items: readonly Item[], count: (item: Item) => number): number {
  return items.reduce((total, item) => total + count(item), 0)
}
