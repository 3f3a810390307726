import { setTimeout } from 'node:timers/promises'
import { ArgumentError } from 'dotpool'
import type { FastifyBaseLogger } from 'fastify'

/** How long NATS is waited for, and how often it is tried. */
const PATIENCE_MILLIS = 30_000
const RETRY_MILLIS = 1000

/**
 * Does what needs NATS, which may not be there yet, or be started anew.
 *
 * @throws ArgumentError that no waiting helps against, and what has failed for long enough
 */
export async function patiently<Result>(
  log: FastifyBaseLogger,
  work: () => Promise<Result>,
): Promise<Result> {
  const end = performance.now() + PATIENCE_MILLIS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const isFinal = error instanceof ArgumentError && error.argument !== 'nats'
      if (isFinal || performance.now() > end) throw error
      log.warn({ reason: String(error) }, 'NATS is tried again')
      await setTimeout(RETRY_MILLIS)
    }
  }
}
