import type { Program } from './program.js'
import type { WorkerStats } from './stats.js'

/** What runs programs: the native region, or plain TypeScript where there is no native library. */
export interface Engine {
  /** Worker threads. */
  readonly threads: number
  /** Which kernels run, e.g. `avx512vnni`; `wasm` or `typescript` without a native library. */
  readonly isa: string
  /**
   * Starts the worker threads; resolves once all are up. Called before anything else.
   *
   * @param pool whose workers they are, for diagnostics
   * @throws PoolBrokenError if they die as they start
   */
  start(pool: object): Promise<void>
  /** Bytes from one quantised row of K activations to the next; 0 where there is no C. */
  rowStride(k: number): number
  /**
   * Runs a program on all workers. Programs start in the order of the calls.
   *
   * @returns 0, or 1 + the index of what an op found wrong with its input
   * @throws the signal's reason, PoolClosedError, QueueFullError, WorkerDiedError, PoolBrokenError
   */
  run(program: Program, signal?: AbortSignal): Promise<number>
  /** The same, blocking; the calling thread works in the place of the last worker. */
  runSync(program: Program): number
  /** One entry a worker, then one for the calling thread, which may do a worker's share. */
  stats(): WorkerStats[]
  /** Rejects what is pending and ends the threads. */
  close(): Promise<void>
}

/** Calls that may wait at once, beyond those that workers already know of. */
export const QUEUE_LIMIT = 4096
