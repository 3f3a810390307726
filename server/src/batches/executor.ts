import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { makeId } from '../ids.js'
import type { BatchLine } from './line.js'
import { answered, type LineResult } from './result.js'

/** How often a line is run that is told to come again. */
const MOST_ATTEMPTS = 10
/** The time before the second attempt, which doubles with each, and the longest. */
const FIRST_DELAY_MILLIS = 500
const MOST_DELAY_MILLIS = 60_000

/** Runs lines by the routes that HTTP has. */
export class LineExecutor {
  readonly #app: FastifyInstance
  /** What leaves the request of a line that runs, by its id. */
  readonly #leaves = new Map<string, () => void>()

  /** @param app with the routes, for lines only */
  constructor(app: FastifyInstance) {
    this.#app = app
    app.addHook('onRequest', async ({ id }, reply) => {
      this.#leaves.set(id, () => reply.raw.destroy())
      reply.raw.once('close', () => this.#leaves.delete(id))
    })
  }

  /** Ends all lines that run: {@link run} throws. */
  end(): void {
    for (const leave of this.#leaves.values()) leave()
  }

  /**
   * Runs a line, again where it is told to come later: a status of 429 or 503.
   *
   * @param signal ends it at once
   * @param stopping lets it finish what runs, but not run again
   * @throws the reason of either
   */
  async run(line: BatchLine, signal: AbortSignal, stopping: AbortSignal): Promise<LineResult> {
    for (let attempt = 1; ; attempt++) {
      const { retryAfter, ...answer } = await this.#ask(line, signal)
      const isTemporary = answer.statusCode === 429 || answer.statusCode === 503
      // a server that ends answers so, too
      if (isTemporary) stopping.throwIfAborted()
      if (!isTemporary || attempt === MOST_ATTEMPTS) return answered(line.customId, answer)
      const doubled = FIRST_DELAY_MILLIS * 2 ** (attempt - 1)
      const millis = Math.min(Math.max(doubled, retryAfter * 1000), MOST_DELAY_MILLIS)
      await setTimeout(millis, undefined, { signal: stopping })
      signal.throwIfAborted()
    }
  }

  async #ask({ endpoint, body, model }: BatchLine, signal: AbortSignal) {
    signal.throwIfAborted()
    const requestId = makeId('req')
    const leave = () => this.#leaves.get(requestId)?.()
    signal.addEventListener('abort', leave)
    try {
      const { statusCode, headers, payload } = await this.#app.inject({
        method: 'POST',
        url: endpoint,
        headers: { 'content-type': 'application/json', 'x-request-id': requestId },
        // the default model may be another by now
        payload: JSON.stringify({ ...body, model }),
      })
      const retryAfter = Number(headers['retry-after'] ?? 0)
      return { statusCode, requestId, retryAfter, body: JSON.parse(payload) as unknown }
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }
}
