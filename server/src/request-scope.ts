import type { FastifyReply } from 'fastify'
import { ApiError } from './errors.js'
import type { Service } from './service.js'

/** The client has left: nobody is to be told. */
export class ClientGoneError extends Error {}

/**
 * The time of a request. Its signal aborts where the client leaves, the time is up, or the server ends; the reason is
 * what the client is told.
 */
export class RequestScope implements Disposable {
  readonly #controller = new AbortController()
  readonly #service: Service
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: () => void

  constructor(service: Service, { raw }: FastifyReply, timeoutMillis: number) {
    this.#service = service
    const onClose = () => {
      if (!raw.writableFinished) this.#controller.abort(new ClientGoneError())
    }
    raw.once('close', onClose)
    this.#stopListening = () => raw.off('close', onClose)
    this.#timer = setTimeout(() => {
      const message = `the request took longer than ${timeoutMillis / 1000} s and was ended`
      this.#controller.abort(new ApiError(504, message, { code: 'timeout' }))
    }, timeoutMillis)
    service.enter(this.#controller)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#stopListening()
    this.#service.leave(this.#controller)
  }
}
