import type { Model } from 'dotpool'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteContext } from '../context.js'
import { ClientGoneError, RequestScope } from '../request-scope.js'
import { RequestRecord } from './request-record.js'

/** The work for one request: the model that does it, the time that it has, and the record of what becomes of it. */
export class RequestWork {
  readonly name: string
  readonly model: Model
  readonly record: RequestRecord
  readonly #reply: FastifyReply
  readonly #metrics: RouteContext['metrics']
  readonly #scope: RequestScope

  /**
   * @param name of the model
   * @throws ApiError if there is none
   */
  constructor(
    { service, settings, metrics }: RouteContext,
    request: FastifyRequest,
    reply: FastifyReply,
    name: string | null | undefined,
  ) {
    const found = service.model(name)
    this.name = found.name
    this.model = found.model
    this.record = new RequestRecord(request.log, metrics, found.name)
    this.#reply = reply
    this.#metrics = metrics
    this.#scope = new RequestScope(service, reply, settings.requestTimeoutMillis)
  }

  /** Aborts where the work is in vain. */
  get signal(): AbortSignal {
    return this.#scope.signal
  }

  /** The work is done. @param error why it failed, if it did */
  finish(error?: unknown): void {
    this.record.end(error)
    this.#scope[Symbol.dispose]()
  }

  /**
   * The work has failed before anything was answered.
   *
   * @returns the reply to a client that has left
   * @throws what any other is told
   */
  fail(error: unknown): FastifyReply {
    this.finish(error)
    if (error instanceof ClientGoneError) return this.#reply.hijack()
    throw this.#metrics.withRetryAfter(error, this.name)
  }
}
