import type { FastifyBaseLogger } from 'fastify'
import { ApiError, toApiError } from '../../errors.js'
import type { EmbedMessage, GenerateMessage } from '../messages.js'
import { CancelledError, type Outcome } from './attempt.js'
import { AttemptSpan } from './attempt-span.js'

/** What becomes of an attempt: told at its end in one line of the log, and a span. */
export class AttemptRecord {
  readonly #log: FastifyBaseLogger
  readonly #work: GenerateMessage | EmbedMessage
  readonly #span: AttemptSpan
  readonly #start = performance.now()

  constructor(work: GenerateMessage | EmbedMessage, log: FastifyBaseLogger) {
    this.#work = work
    this.#log = log
    this.#span = new AttemptSpan(work)
  }

  /** Since it came. */
  get millis(): number {
    return performance.now() - this.#start
  }

  completed(outcome: Outcome): void {
    this.#span.end(outcome, undefined)
    this.#log.info({ ...this.#line, ...outcome }, 'completed')
  }

  failed(error: unknown): void {
    const isCancelled = error instanceof CancelledError
    this.#span.end(undefined, isCancelled ? undefined : error)
    if (isCancelled) this.#log.info(this.#line, 'cancelled')
    // what the worker refuses, such as all while it drains, another does
    else if (error instanceof ApiError || toApiError(error).statusCode < 500) {
      this.#log.info({ ...this.#line, reason: String(error) }, 'refused')
    } else this.#log.error({ ...this.#line, err: error }, 'failed')
  }

  get #line(): object {
    const { request, attempt, gateway, model } = this.#work
    const millis = Math.round(this.millis * 10) / 10
    return { reqId: request, attempt, gateway, model, millis, ...this.#span.ids }
  }
}
