import { Piscina } from 'piscina'

/**
 * Node's options for threads, instead of the process's own. Piscina runs a file by require() or else by
 * import(). Node aborts the process if a thread is ended while it requires an ES module, so it must not.
 */
const execArgv = process.features.require_module ? ['--no-experimental-require-module'] : []

/** The file of this module. */
export const threadsModule = import.meta.url

/** What a thread runs and is told as it starts, and who listens to it. */
export interface ThreadOptions {
  /** Of the file, as Piscina wants it. */
  filename?: string
  workerData?: unknown
  onMessage?(message: unknown): void
  /** It is gone, with or without a task; not called where it was ended by {@link Thread.end}. */
  onDeath?(cause: unknown): void
}

/** Which function of which file a task is for, where {@link ThreadOptions} do not tell. */
export interface TaskOptions {
  filename: string
  name: string
}

/**
 * One worker thread. It starts with its first task, and takes one at a time. It is a Piscina of its own, which
 * starts no other in its place: Piscina does that in the midst of an event, and where the system refuses a thread
 * nobody could catch what it throws there.
 */
export class Thread {
  readonly #piscina: Piscina
  /** Resolves once it has loaded its file, or is gone. */
  readonly #loaded: Promise<void>
  #started = false
  #ended = false
  #gone = false
  #cause: unknown = 'the thread has ended'
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
      this.#gone = true
      // Piscina tells the cause only then
      setImmediate(() => {
        this.#reject(this.#cause)
        if (!this.#ended) onDeath?.(this.#cause)
      })
    })
  }

  /** Whether the system gave a thread; it may be gone since. */
  get started(): boolean {
    return this.#started
  }

  /** Runs a task; rejects with what it throws, where the thread dies, or where the system refuses one. */
  run(task: unknown, options?: TaskOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#gone) throw this.#cause
      this.#reject = reject
      this.#piscina.run(task, options).then(resolve, reject)
      this.#started = true
    })
  }

  /**
   * Ends it; resolves once it is gone. Not before it has loaded its file: files that a thread is about to open
   * stay open for ever where it is ended.
   */
  async end(): Promise<void> {
    this.#ended = true
    // a refused task stays in Piscina's queue; to empty that rejects a promise that nobody was given
    if (!this.#started) return
    if (this.#piscina.threads.length > 0) await this.#loaded
    await this.#piscina.destroy()
  }
}
