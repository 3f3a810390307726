import { Piscina } from 'piscina'

/**
 * Node's options for threads, in place of the process's own. Piscina loads a file with require(), or else with
 * import(). Node aborts the process if a thread is ended while it requires an ES module, so that is disabled.
 */
const execArgv = process.features.require_module ? ['--no-experimental-require-module'] : []

/** The URL of this module. */
export const threadsModule = import.meta.url

export interface ThreadOptions {
  /** The file that the thread runs, as Piscina takes it; by default each task names one. */
  filename?: string
  workerData?: unknown
  onMessage?(message: unknown): void
  /** The thread has died, with or without a task; not called after {@link Thread.end}. */
  onDeath?(cause: unknown): void
}

/** The function that a task is for, where {@link ThreadOptions} name no file. */
export interface TaskOptions {
  filename: string
  name: string
}

/**
 * One worker thread. It starts with its first task, and takes one task at a time. It is a Piscina of its own, which
 * never replaces the thread: Piscina would do so while it handles an event, where nothing can catch its error when the
 * system refuses a thread.
 */
export class Thread {
  readonly #piscina: Piscina
  /** Resolves once the thread has loaded its file, or has died. */
  readonly #loaded: Promise<void>
  #started = false
  #ended = false
  #hasDied = false
  /** Why it has died. */
  #cause: unknown
  #reject: (cause: unknown) => void = () => {}

  constructor({ filename, workerData, onMessage, onDeath }: ThreadOptions = {}) {
    const one = { minThreads: 0, maxThreads: 1, idleTimeout: Infinity, recordTiming: false }
    this.#piscina = new Piscina({ ...one, execArgv, workerData, filename: filename ?? null })
    this.#piscina.on('message', (message) => onMessage?.(message))
    this.#piscina.on('error', (cause) => {
      this.#cause = cause
    })
    this.#loaded = new Promise((resolve) => {
      this.#piscina.on('workerCreate', () => resolve())
      this.#piscina.on('workerDestroy', () => resolve())
    })
    this.#piscina.on('workerDestroy', () => {
      this.#hasDied = true
      // not made before: its stack would hold the thread whose death has led to this one, and so on for ever
      this.#cause = new Error('the thread has ended')
      // Piscina emits the cause only afterwards
      setImmediate(() => {
        this.#reject(this.#cause)
        if (!this.#ended) onDeath?.(this.#cause)
      })
    })
  }

  /** Whether the system started a thread; it may have died since. */
  get started(): boolean {
    return this.#started
  }

  /** Runs a task. Rejects with what it throws, if the thread dies, or if the system refuses a thread. */
  run(task: unknown, options?: TaskOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#hasDied) throw this.#cause
      this.#reject = reject
      this.#piscina.run(task, options).then(resolve, reject)
      this.#started = true
    })
  }

  /**
   * Ends the thread; resolves once it has ended. Waits until it has loaded its file: a file that a thread is opening
   * when it is ended stays open for ever.
   */
  async end(): Promise<void> {
    this.#ended = true
    // a refused task stays in Piscina's queue; emptying that would reject a promise that nothing handles
    if (!this.#started) return
    if (this.#piscina.threads.length > 0) await this.#loaded
    await this.#piscina.destroy()
  }
}
