import { workerDeathChannel, workerRecoveryChannel } from '../diagnostics.js'

/** Publishes the deaths of a pool's workers, and when others serve in their place. */
export class WorkerReports {
  readonly #pool: object
  /** When a worker died that none serves in the place of yet, by its number; milliseconds. */
  readonly #deaths = new Map<number, number>()

  constructor(pool: object) {
    this.#pool = pool
  }

  died(worker: number, cause: unknown): void {
    this.#deaths.set(worker, performance.now())
    if (workerDeathChannel.hasSubscribers) {
      workerDeathChannel.publish({ pool: this.#pool, worker, cause })
    }
  }

  /** Call whenever a worker begins to serve. */
  serves(worker: number): void {
    const death = this.#deaths.get(worker)
    if (death === undefined) return
    this.#deaths.delete(worker)
    if (workerRecoveryChannel.hasSubscribers) {
      const millis = performance.now() - death
      workerRecoveryChannel.publish({ pool: this.#pool, worker, millis })
    }
  }
}
