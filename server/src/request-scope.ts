import type { FastifyReply } from 'fastify'
import { ApiError } from './errors.js'
import type { ServedModel } from './models/served-model.js'
import type { Service } from './service.js'

/** The client has left: nobody is to be told. */
export class ClientGoneError extends Error {}

/**
 * The time of a request. Its signal aborts where the client leaves, the time is up, or the server ends; the reason is
 * what the client is told. The service waits until the answer was sent as a whole.
 */
export class RequestScope implements Disposable {
  readonly #service: Service
  readonly #raw: FastifyReply['raw']
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout

  constructor(service: Service, { raw }: FastifyReply, timeoutMillis: number) {
    this.#service = service
    this.#raw = raw
    const controller = this.#controller
    if (raw.destroyed) controller.abort(new ClientGoneError())
    else {
      service.enter(controller)
      raw.once('close', () => {
        service.leave(controller)
        clearTimeout(this.#timer)
        if (!raw.writableFinished) controller.abort(new ClientGoneError())
      })
    }
    this.#timer = setTimeout(() => {
      const message = `the request took longer than ${timeoutMillis / 1000} s and was ended`
      controller.abort(new ApiError(504, message, { code: 'timeout' }))
    }, timeoutMillis)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /**
   * A model that stays loaded until the answer was sent, or the client has left. Loads it if need be.
   *
   * @throws as `ModelCatalog.acquire`
   */
  async use(name: string): Promise<ServedModel> {
    const lease = await this.#service.catalog.acquire(name, this.signal)
    if (this.#raw.closed) lease[Symbol.dispose]()
    else this.#raw.once('close', () => lease[Symbol.dispose]())
    this.signal.throwIfAborted()
    return lease.model
  }

  /** The work is done. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
