import type { FastifyBaseLogger } from 'fastify'
import { toApiError } from '../errors.js'
import type { Metrics } from '../metrics.js'
import { ClientGoneError } from '../request-scope.js'
import type { ChoicePart } from './choices.js'
import { resultsOf, toUsage } from './usage.js'

/** What becomes of a request: measured while it runs, and logged in one line at its end. */
export class RequestRecord {
  readonly #log: FastifyBaseLogger
  readonly #metrics: Metrics
  readonly #model: string
  readonly #start = performance.now()
  readonly #ends: ChoicePart[] = []
  #choices = 1
  #firstTokenMillis: number | undefined
  #embedded: object | undefined
  #hasEnded = false

  constructor(log: FastifyBaseLogger, metrics: Metrics, model: string) {
    this.#log = log
    this.#metrics = metrics
    this.#model = model
  }

  /** The same parts. @param choices for each prompt */
  async *watch(
    parts: AsyncGenerator<ChoicePart, void, void>,
    choices: number,
  ): AsyncGenerator<ChoicePart, void, void> {
    this.#choices = choices
    const last = new Map<number, number>()
    for await (const part of parts) {
      if (part.result !== undefined) this.#ends.push(part)
      if (part.tokens.length > 0) {
        const now = performance.now()
        const before = last.get(part.index)
        if (before !== undefined) this.#metrics.observeGap(this.#model, now - before)
        last.set(part.index, now)
        this.#firstTokenMillis ??= now - this.#start
      }
      yield part
    }
  }

  /** Texts were embedded. @param usage what it took */
  embedded(usage: object): void {
    this.#embedded = usage
  }

  /** @param error why it failed, if it did; only the first call counts */
  end(error: unknown): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const line = {
      model: this.#model,
      millis: Math.round(performance.now() - this.#start),
      firstTokenMillis: this.#firstTokenMillis && Math.round(this.#firstTokenMillis),
    }
    if (error === undefined && this.#embedded !== undefined) {
      this.#log.info({ ...line, usage: this.#embedded }, 'embedded')
    } else if (error === undefined) {
      const results = resultsOf(this.#ends)
      const finishReasons = results.map(({ finishReason }) => finishReason)
      const usage = toUsage(results, this.#choices)
      this.#log.info({ ...line, finishReasons, usage }, 'completed')
    } else if (error instanceof ClientGoneError) this.#log.info(line, 'the client has left')
    else {
      const { statusCode } = toApiError(error)
      if (statusCode >= 500) this.#log.error({ ...line, err: error }, 'failed')
      else this.#log.info({ ...line, reason: String(error) }, 'refused')
    }
  }
}
