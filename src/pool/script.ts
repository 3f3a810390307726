import { Piscina } from 'piscina'
import { PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import type { Program, ScriptOp, Share } from './program.js'
import { noStats, type WorkerStats } from './stats.js'

/**
 * The engine where no native library loads: every op is a TypeScript function, run by Piscina once
 * for each worker. The same results, much slower.
 */
export class ScriptEngine implements Engine {
  readonly threads: number
  readonly isa = 'typescript'
  readonly #piscina: Piscina
  readonly #stats: WorkerStats = { ...noStats }
  readonly #closed = new AbortController()
  /** Ends when every call so far has: calls run in order. */
  #last: Promise<unknown> = Promise.resolve()
  #pending = 0

  constructor(threads: number) {
    this.threads = threads
    this.#piscina = new Piscina({ minThreads: threads, maxThreads: threads, recordTiming: false })
    this.#piscina.on('error', () => {})
  }

  rowStride(): number {
    return 0
  }

  async run(program: Program, signal?: AbortSignal): Promise<number> {
    const closed = this.#closed.signal
    if (closed.aborted || signal?.aborted) {
      program.release?.()
      throw closed.aborted ? closed.reason : signal?.reason
    }
    if (this.#pending >= QUEUE_LIMIT) {
      program.release?.()
      throw new QueueFullError(QUEUE_LIMIT)
    }
    const end = signal === undefined ? closed : AbortSignal.any([closed, signal])
    this.#pending++
    const run = this.#last
      .then(() => this.#runOps(program.script(), end))
      .finally(() => {
        this.#pending--
        program.release?.()
      })
    this.#last = run.catch(() => {})
    return untilAborted(run, end)
  }

  /** Runs on the calling thread alone: nothing can wake a Piscina worker and wait for it here. */
  runSync(program: Program): number {
    try {
      this.#closed.signal.throwIfAborted()
      const whole: Share = { part: 0, parts: 1 }
      return Math.max(0, ...program.script().map((op) => op.run({ ...op.args, ...whole })))
    } finally {
      program.release?.()
    }
  }

  stats(): WorkerStats[] {
    return [...Array.from({ length: this.threads }, () => ({ ...this.#stats })), { ...noStats }]
  }

  async close(): Promise<void> {
    this.#closed.abort(new PoolClosedError())
    await this.#piscina.destroy()
    await this.#last
  }

  async #runOps(ops: ScriptOp[], end: AbortSignal): Promise<number> {
    let fault = 0
    for (const op of ops) {
      end.throwIfAborted()
      const start = performance.now()
      const faults = await Promise.all(this.#everyPart(op)).catch((cause) => {
        throw end.aborted ? end.reason : new WorkerDiedError(cause)
      })
      fault ||= Math.max(...faults)
      this.#stats.busyMicros += (performance.now() - start) * 1000
      this.#stats.tiles++
    }
    this.#stats.regions++
    return fault
  }

  #everyPart(op: ScriptOp): Promise<number>[] {
    return Array.from({ length: this.threads }, (_, part) => {
      const share: Share = { part, parts: this.threads }
      return this.#piscina.run({ ...op.args, ...share }, { filename: op.module, name: op.run.name })
    })
  }
}

/** Settles as `promise` does, or rejects with the signal's reason as soon as it is aborted. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
