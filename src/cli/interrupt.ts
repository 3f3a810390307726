/** While it exists, Ctrl-C aborts its signal. A second Ctrl-C ends the process as usual. */
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
 * Runs work that Ctrl-C stops, and sets the exit code accordingly.
 *
 * @param work receives the signal; an error that it throws after an abort is ignored
 * @returns undefined if it stopped by throwing
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
