import type { Program } from './program.js'
import type { WorkerStats } from './stats.js'

/** Runs programs: the native region, or plain TypeScript where there is no native code. */
export interface Engine {
  /** The number of worker threads. */
  readonly threads: number
  /** The kernels that run, such as `avx512vnni`; `wasm` or `typescript` without a native library. */
  readonly isa: string
  /**
   * Starts the worker threads; resolves once all have started. Called first.
   *
   * @param pool the Pool that diagnostics name
   * @throws PoolBrokenError if workers die as they start
   */
  start(pool: object): Promise<void>
  /** Bytes from one quantised row of K activations to the next. */
  rowStride(k: number): number
  /**
   * Runs a program on all workers. Programs start in the order of the calls.
   *
   * @returns 0, or the fault of an op: 1 + the index of what is wrong with its input
   * @throws the signal's reason, PoolClosedError, QueueFullError, WorkerDiedError, PoolBrokenError
   */
  run(program: Program, signal?: AbortSignal): Promise<number>
  /** The same, blocking; the calling thread runs units in the place of the last worker. */
  runSync(program: Program): number
  /** One entry for each worker, then one for the calling thread, which may run units too. */
  stats(): WorkerStats[]
  /** Rejects pending calls and ends the threads. */
  close(): Promise<void>
}

/** The most calls that may wait at once, besides those in flight. */
export const QUEUE_LIMIT = 4096
