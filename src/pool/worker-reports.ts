import { workerDeathChannel, workerRecoveryChannel } from '../diagnostics.js'

/** Publishes when workers of a pool die, and when new threads have replaced them. */
export class WorkerReports {
  readonly #pool: object
  /** The time of death of each worker that is not replaced yet, milliseconds. */
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

  /** Call whenever a worker starts to run programs. */
  runs(worker: number): void {
    const death = this.#deaths.get(worker)
    if (death === undefined) return
    this.#deaths.delete(worker)
    if (workerRecoveryChannel.hasSubscribers) {
      const millis = performance.now() - death
      workerRecoveryChannel.publish({ pool: this.#pool, worker, millis })
    }
  }
}
