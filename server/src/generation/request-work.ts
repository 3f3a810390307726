import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteContext } from '../context.js'
import type { Origin, ServedModel } from '../models/served-model.js'
import { ClientGoneError, RequestScope } from '../request-scope.js'
import type { GenerationBody } from '../schemas/common.js'
import { RequestRecord } from './request-record.js'
import type { Operation } from './request-span.js'

/** The work for one request: the model that does it, the time that it has, and the record of what becomes of it. */
export class RequestWork {
  /** The model's. */
  readonly name: string
  readonly record: RequestRecord
  readonly #reply: FastifyReply
  readonly #metrics: RouteContext['metrics']
  readonly #scope: RequestScope

  /** @throws ApiError if there is no such model */
  constructor(
    { service, settings, metrics }: RouteContext,
    request: FastifyRequest,
    reply: FastifyReply,
    operation: Operation,
    body: Partial<GenerationBody>,
  ) {
    this.name = service.nameOf(body.model)
    this.record = new RequestRecord(request, reply, metrics, { operation, model: this.name, body })
    this.#reply = reply
    this.#metrics = metrics
    this.#scope = new RequestScope(service, reply, settings.requestTimeoutMillis)
  }

  /** Where it comes from, for whoever does it. */
  get origin(): Origin {
    return this.record.origin
  }

  /** Aborts where the work is in vain. */
  get signal(): AbortSignal {
    return this.#scope.signal
  }

  /** The model, which stays loaded until the answer was sent. @throws as `ModelCatalog.acquire` */
  async model(): Promise<ServedModel> {
    return await this.#scope.use(this.name)
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
