import type { ModelStats } from 'dotpool'

/**
 * When there is likely room in a model's queue, seconds: once its prompts are computed, and there is memory again.
 *
 * @param meanSeconds of a request
 */
export function secondsToRoom(stats: ModelStats, meanSeconds: number): number {
  const { running, waiting, queuedTokens, prefillTokens, prefillMicros } = stats
  const prefill = (queuedTokens * prefillMicros) / 1e6 / Math.max(prefillTokens, 1)
  const memory = (waiting / Math.max(running, 1)) * meanSeconds
  return Math.min(Math.max(Math.ceil(Math.max(prefill, memory)), 1), 60)
}
