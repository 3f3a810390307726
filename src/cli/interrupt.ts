/** While it lasts, Ctrl-C aborts its signal. A second Ctrl-C ends the process as usual. */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController()
  readonly #abort = () => this.#controller.abort()

  constructor() {
    process.once('SIGINT', this.#abort)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#abort)
  }
}

/**
 * Runs work that Ctrl-C stops; the exit code tells.
 *
 * @param work is given a signal to stop at; what it throws then is no error
 * @returns undefined if it was stopped by throwing
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  using interrupt = new Interrupt()
  const { signal } = interrupt
  try {
    return await work(signal)
  } catch (error) {
    if (!signal.aborted) throw error
    return undefined
  } finally {
    if (signal.aborted) process.exitCode = 130
  }
}
