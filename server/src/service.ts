import { unavailable } from './errors.js'
import { nowSeconds } from './ids.js'
import type { ModelCatalog } from './models/catalog.js'
import { within } from './within.js'

/** The time to send an answer's last event when the server ends. */
const FAREWELL_MILLIS = 1000

/** The models that are served, and the requests that use them now. */
export class Service {
  readonly #created = nowSeconds()
  readonly #active = new Set<AbortController>()
  readonly catalog: ModelCatalog
  #isDraining = false
  #whenIdle: (() => void) | undefined

  /** @param catalog not ready until that is */
  constructor(catalog: ModelCatalog) {
    this.catalog = catalog
  }

  get created(): number {
    return this.#created
  }

  /** @throws ApiError unless requests are served */
  checkReady(): void {
    if (this.#isDraining) throw unavailable('the server is shutting down')
    this.catalog.checkReady()
  }

  /** The model that a request means: the first where it names none. */
  nameOf(model: string | null | undefined): string {
    return this.catalog.info(model ?? undefined).name
  }

  /** Requests that run. */
  get active(): number {
    return this.#active.size
  }

  /** Counts a request as running until {@link leave}, and aborts it where the server ends before. */
  enter(controller: AbortController): void {
    this.#active.add(controller)
  }

  leave(controller: AbortController): void {
    this.#active.delete(controller)
    if (this.#active.size === 0) this.#whenIdle?.()
  }

  /**
   * Takes no more requests, and returns when those that there are were answered. After that time they are ended, and
   * a reader who does not take the end either is left alone.
   */
  async drain(millis: number): Promise<void> {
    this.#isDraining = true
    if (this.#active.size === 0) return
    const idle = new Promise<'idle'>((resolve) => {
      this.#whenIdle = () => resolve('idle')
    })
    if ((await within(millis, idle)) === 'idle') return
    for (const controller of this.#active) {
      controller.abort(unavailable('the server is shutting down'))
    }
    await within(FAREWELL_MILLIS, idle)
  }
}
