import { EventEmitter } from 'node:events'
import type { ModelStore } from '../models/store.js'

/** The most lines that a model runs at once: enough rows for its steps to be bound by arithmetic. */
const MOST_LINES = 64
/** And beside requests of others, whose tokens take longer with each line that runs. */
const MOST_LINES_BESIDE = 8
/** Lines that have begun so lately that the model may not have seen them yet, and how lately. */
const MOST_FRESH = 8
const FRESH_MILLIS = 100
/** No line begins while so many tokens of prompts wait to be computed: others' would wait behind its own. */
const SHORT_QUEUE_TOKENS = 512
/** How often a model is looked at that has no room. */
const LOOK_MILLIS = 10

/** A line that runs. */
interface Running {
  readonly since: number
}

/**
 * Says when another line of a batch may begin: as long as no request waits, of whomever, and few run. So lines fill the
 * steps that others leave room in, and a request that comes waits for no line that has not begun.
 */
export class Governor {
  readonly #models: ModelStore
  readonly #others: () => number
  readonly #running = new Map<string, Set<Running>>()
  readonly #events = new EventEmitter<{ end: [] }>()

  /** @param others counts the requests of others that run */
  constructor(models: ModelStore, others: () => number) {
    this.#models = models
    this.#others = others
    this.#events.setMaxListeners(0)
  }

  /**
   * Waits until a line that asks this model may begin.
   *
   * @returns whether it may, before the time is up
   * @throws the signal's reason
   */
  async room(
    name: string,
    signal: AbortSignal,
    millis = Number.POSITIVE_INFINITY,
  ): Promise<boolean> {
    const start = performance.now()
    while (!this.#hasRoom(name)) {
      signal.throwIfAborted()
      if (performance.now() - start > millis) return false
      await this.#soon()
    }
    return true
  }

  /** A line begins. @returns what to call at its end */
  begin(name: string): () => void {
    const lines = this.#linesOf(name)
    const line = { since: performance.now() }
    lines.add(line)
    return () => {
      lines.delete(line)
      this.#events.emit('end')
    }
  }

  /** Resolves with the next line that ends, or after a while. */
  #soon(): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        clearTimeout(timer)
        this.#events.off('end', look)
        resolve()
      }
      const timer = setTimeout(look, LOOK_MILLIS)
      this.#events.on('end', look)
    })
  }

  #hasRoom(name: string): boolean {
    const lines = this.#linesOf(name)
    const model = this.#models.loaded.get(name)
    if (model === undefined) return this.#canLoad(name)
    if (lines.size >= (this.#others() > 0 ? MOST_LINES_BESIDE : MOST_LINES)) return false
    const fresh = performance.now() - FRESH_MILLIS
    if ([...lines].filter(({ since }) => since > fresh).length >= MOST_FRESH) return false
    const { waiting, queuedTokens } = model.stats()
    return waiting === 0 && queuedTokens < SHORT_QUEUE_TOKENS
  }

  /** Whether a model can be loaded for one line, such that no other is unloaded that is in use. */
  #canLoad(name: string): boolean {
    for (const lines of this.#running.values()) if (lines.size > 0) return false
    if (this.#models.info(name).status === 'loading') return false
    return [...this.#models.loaded.values()].every((model) => {
      const { running, waiting } = model.stats()
      return running + waiting === 0
    })
  }

  #linesOf(name: string): Set<Running> {
    const found = this.#running.get(name) ?? new Set()
    this.#running.set(name, found)
    return found
  }
}
