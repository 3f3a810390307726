import { setMaxListeners } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { ModelStore } from '../models/store.js'
import type { LineExecutor } from './executor.js'
import type { Governor } from './governor.js'
import { isSuccess } from './result.js'
import type { LineQueue, LineTask } from './store.js'

/** After what went wrong, such as a disk that is full, it is tried again after this time. */
const RETRY_MILLIS = 2000
/** A line that was taken waits so long for a model that has become busy; then another may take it. */
const MOST_WAIT_MILLIS = 5000

/** Takes lines off the queue while models have room, and runs them. */
export class LineRunner {
  readonly #queue: LineQueue
  readonly #executor: LineExecutor
  readonly #models: ModelStore
  readonly #governor: Governor
  readonly #log: FastifyBaseLogger
  /** No more lines are taken. */
  readonly #stopping = new AbortController()
  readonly #work = new Set<Promise<void>>()

  constructor(
    queue: LineQueue,
    executor: LineExecutor,
    models: ModelStore,
    governor: Governor,
    log: FastifyBaseLogger,
  ) {
    this.#queue = queue
    this.#executor = executor
    this.#models = models
    this.#governor = governor
    this.#log = log
    // each line that waits to be run again listens
    setMaxListeners(0, this.#stopping.signal)
  }

  /** Begins once the models are known. */
  start(): void {
    this.#keep(
      this.#models.ready.then(() => {
        for (const name of this.#models.names) this.#keep(this.#serve(name))
      }),
    )
  }

  /** Takes no more lines. What runs is to be ended by whoever ends the models. */
  stop(): void {
    this.#stopping.abort()
  }

  /** Resolves once nothing runs any more, after {@link stop}. */
  async ended(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work)
  }

  /** Runs lines that ask one model. */
  async #serve(name: string): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        // what cannot be run yet, others may
        if (this.#models.loaded.has(name)) await this.#governor.room(name, signal)
        const task = await this.#queue.take(name, signal)
        const canRun = await this.#governor.room(name, signal, MOST_WAIT_MILLIS)
        if (canRun) this.#keep(this.#run(name, task))
        else await task.release()
      } catch (error) {
        if (signal.aborted) return
        this.#log.warn(
          { err: error, model: name },
          'lines of batches cannot be taken; it is tried again',
        )
        await setTimeout(RETRY_MILLIS, undefined, { signal }).catch(() => {})
      }
    }
  }

  async #run(name: string, task: LineTask): Promise<void> {
    const end = this.#governor.begin(name)
    const { signal: stopping } = this.#stopping
    try {
      const result = await this.#executor.run(task.line, task.signal, stopping)
      await this.#finish(() => task.finish(result))
      this.#models.events.emit('line', { name, isSuccess: isSuccess(result) })
    } catch (error) {
      if (!task.signal.aborted && !stopping.aborted) {
        this.#log.error({ err: error }, 'a line of a batch failed to run')
        await setTimeout(RETRY_MILLIS, undefined, { signal: stopping }).catch(() => {})
      }
      await task.release()
    } finally {
      end()
    }
  }

  /** Keeps a result, however long that takes. */
  async #finish(finish: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await finish()
      } catch (error) {
        if (this.#stopping.signal.aborted) throw error
        this.#log.warn({ err: error }, 'the result of a line cannot be kept; it is tried again')
        await setTimeout(RETRY_MILLIS, undefined, { signal: this.#stopping.signal })
      }
    }
  }

  #keep(work: Promise<void>): void {
    const kept = work
      .catch((error) => {
        if (!this.#stopping.signal.aborted) this.#log.error({ err: error }, 'lines have stopped')
      })
      .finally(() => this.#work.delete(kept))
    this.#work.add(kept)
  }
}
