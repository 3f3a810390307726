import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { RouteContext } from '../context.js'
import type { ModelStore } from '../models/store.js'
import { Service } from '../service.js'
import { LineExecutor } from './executor.js'
import { Governor } from './governor.js'
import { makeLineApp } from './line-app.js'
import { LineRunner } from './runner.js'
import type { LineQueue } from './store.js'

export interface LinesParts extends Pick<RouteContext, 'settings' | 'metrics'> {
  readonly queue: LineQueue
  readonly models: ModelStore
  /** Counts the requests that run beside lines. */
  readonly others: () => number
  readonly log: FastifyBaseLogger
}

/** Runs lines of batches by models of this process, from its making on. */
export class Lines {
  /** Of the lines that run. */
  readonly #service: Service
  readonly #app: FastifyInstance
  readonly #executor: LineExecutor
  readonly #runner: LineRunner

  constructor({ queue, models, others, log, ...shared }: LinesParts) {
    this.#service = new Service(models)
    this.#app = makeLineApp({ ...shared, service: this.#service }, log)
    this.#executor = new LineExecutor(this.#app)
    const governor = new Governor(models, others)
    this.#runner = new LineRunner(queue, this.#executor, models, governor, log)
    this.#runner.start()
  }

  /** Takes no more lines, and returns once those that run have ended, or the time is up. */
  async drain(millis: number): Promise<void> {
    this.#runner.stop()
    await this.#service.drain(millis)
  }

  /** Ends and releases the lines that still run, after {@link drain}. */
  async close(): Promise<void> {
    this.#executor.end()
    await this.#runner.ended()
    await this.#app.close()
  }
}
