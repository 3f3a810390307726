import { setMaxListeners } from 'node:events'

/**
 * Calls `listener` with the signal's reason when that is aborted; not for a signal that is aborted already.
 *
 * @returns a function that stops listening
 */
export function whenAborted(
  signal: AbortSignal | undefined,
  listener: (reason: unknown) => void,
): () => void {
  if (signal === undefined) return () => {}
  // any number of calls may share a signal: that is no leak
  setMaxListeners(0, signal)
  const onAbort = () => listener(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}

/** A promise that its holder settles, or else its AbortSignal, whichever comes first. */
export class AbortableDeferred<Result> {
  readonly promise: Promise<Result>
  #resolve!: (result: Result) => void
  #reject!: (error: unknown) => void
  #isSettled = false
  readonly #stopListening: (() => void) | undefined

  /**
   * @param signal rejects the promise with its reason: at once if it is aborted already
   * @param onAbort called after a later abort has rejected the promise, to drop what it was to wait for
   */
  constructor(signal?: AbortSignal, onAbort?: () => void) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (signal?.aborted) {
      this.reject(signal.reason)
    } else if (signal !== undefined) {
      this.#stopListening = whenAborted(signal, (reason) => {
        if (this.reject(reason)) onAbort?.()
      })
    }
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Resolves the promise. False: it was settled before. */
  resolve(result: Result): boolean {
    if (!this.#settle()) return false
    this.#resolve(result)
    return true
  }

  /** Rejects the promise. False: it was settled before. */
  reject(error: unknown): boolean {
    if (!this.#settle()) return false
    this.#reject(error)
    return true
  }

  #settle(): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    this.#stopListening?.()
    return true
  }
}
