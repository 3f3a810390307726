/** While it exists, Ctrl-C aborts its signal. A second Ctrl-C ends the process as usual. */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController()
  // it stays for the second: a library that sees no other listener would end the process with the first
  readonly #listen = () => {
    if (!this.#controller.signal.aborted) return this.#controller.abort()
    this[Symbol.dispose]()
    process.kill(process.pid, 'SIGINT')
  }

  constructor() {
    process.on('SIGINT', this.#listen)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#listen)
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
