import type { Model } from 'dotpool'
import { ApiError, unavailable } from './errors.js'
import { nowSeconds } from './ids.js'
import { within } from './within.js'

/** Models by the names that requests know them by. */
export type Models = ReadonlyMap<string, Model>

/** The time to send an answer's last event when the server ends. */
const FAREWELL_MILLIS = 1000

/** The models that are served, and the requests that use them now. */
export class Service {
  readonly #created = nowSeconds()
  readonly #active = new Set<AbortController>()
  #models: Models | undefined
  #isDraining = false
  #whenIdle: (() => void) | undefined

  /** @param models not ready until they are loaded */
  constructor(models: Models | Promise<Models>) {
    if (!(models instanceof Promise)) this.#models = models
    else {
      models.then(
        (loaded) => {
          this.#models = loaded
        },
        () => {}, // whoever loads them is told, and this never becomes ready
      )
    }
  }

  get created(): number {
    return this.#created
  }

  /** Those that are loaded. */
  get models(): Models {
    return this.#models ?? new Map()
  }

  /** @throws ApiError unless requests are served */
  checkReady(): void {
    if (this.#isDraining) throw unavailable('the server is shutting down')
    if (this.#models === undefined) throw unavailable('the model is being loaded')
  }

  /**
   * A model by its name; without one, the first.
   *
   * @throws ApiError
   */
  model(name: string | null | undefined): { name: string; model: Model } {
    const entries = [...this.models]
    const [found] = name == null ? entries : entries.filter(([known]) => known === name)
    if (found !== undefined) return { name: found[0], model: found[1] }
    const message = `the model ${JSON.stringify(name)} does not exist; GET /v1/models lists those that do`
    throw new ApiError(404, message, { param: 'model', code: 'model_not_found' })
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
