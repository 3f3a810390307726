import { AbortableDeferred } from '../abort.js'
import { ArgumentError, PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import { BAD_ROW, type Program, type ScriptOp, type Share } from './program.js'
import { noStats, type WorkerStats } from './stats.js'
import { Thread, threadsModule } from './threads.js'
import { WorkerReports } from './worker-reports.js'

/** A call, from when it is made until its program has ended. */
interface Call {
  program: Program
  /** Once it is rejected, ops that have not started are skipped. */
  deferred: AbortableDeferred<number>
}

/**
 * The engine without native code: every op is a TypeScript function, which Piscina runs once for each worker. Same
 * results, much slower.
 */
export class ScriptEngine implements Engine {
  readonly threads: number
  readonly isa = 'typescript'
  /** The thread of each worker, from when it is first needed. */
  readonly #workers: (Thread | undefined)[] = []
  #reports: WorkerReports | undefined
  readonly #stats: WorkerStats = { ...noStats }
  /** Calls whose programs have not ended. */
  readonly #calls = new Set<Call>()
  #end: PoolClosedError | undefined
  /** Resolves when every call so far has ended: calls run in order. */
  #last: Promise<void> = Promise.resolve()

  /** @throws ArgumentError in a bundle, whose modules are one file: threads that load one would run the whole program */
  constructor(threads: number) {
    if (threadsModule === import.meta.url) {
      const remedy = 'leave dotpool out of the bundle, or set `nativeLibrary` and do not calibrate'
      throw new ArgumentError(
        'dotpool',
        `files that worker threads can load; ${remedy}`,
        'a bundle',
      )
    }
    this.threads = threads
  }

  /** Threads start when they are first needed. */
  async start(pool: object): Promise<void> {
    this.#reports = new WorkerReports(pool)
  }

  rowStride(): number {
    return 0
  }

  async run(program: Program, signal?: AbortSignal): Promise<number> {
    if (this.#end !== undefined || signal?.aborted || this.#calls.size >= QUEUE_LIMIT) {
      program.release?.()
      throw this.#end ?? (signal?.aborted ? signal.reason : new QueueFullError(QUEUE_LIMIT))
    }
    const deferred = new AbortableDeferred<number>(signal)
    const call: Call = { program, deferred }
    this.#calls.add(call)
    this.#last = this.#last.then(async () => {
      await this.#runOps(call).then(
        (fault) => deferred.resolve(fault),
        (error) => deferred.reject(error),
      )
      this.#calls.delete(call)
      program.release?.()
    })
    return deferred.promise
  }

  /** Runs on the calling thread alone, which cannot wait for a Piscina worker while it blocks. */
  runSync(program: Program): number {
    try {
      if (this.#end !== undefined) throw this.#end
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
    this.#end = new PoolClosedError()
    for (const { deferred } of this.#calls) deferred.reject(this.#end)
    await Promise.all(this.#workers.map((worker) => worker?.end()))
    await this.#last
  }

  async #runOps({ program, deferred }: Call): Promise<number> {
    let fault = 0
    const start = performance.now()
    for (const op of program.script()) {
      // later ops would look for the missing row too
      if (deferred.isSettled || fault >= BAD_ROW) break
      const faults = await this.#runEverywhere(op)
      fault ||= Math.max(...faults)
      this.#stats.units++
    }
    this.#stats.busyMicros += (performance.now() - start) * 1000
    this.#stats.regions++
    return fault
  }

  /** Settles once no worker runs the op any more, because its memory is reused then. */
  async #runEverywhere(op: ScriptOp): Promise<number[]> {
    const parts = Array.from({ length: this.threads }, (_, part) => this.#runPart(op, part))
    return (await Promise.allSettled(parts)).map((outcome) => {
      if (outcome.status === 'rejected') throw new WorkerDiedError(outcome.reason)
      return outcome.value
    })
  }

  async #runPart(op: ScriptOp, part: number): Promise<number> {
    this.#workers[part] ??= new Thread()
    const worker = this.#workers[part]
    const share: Share = { part, parts: this.threads }
    try {
      const task = { filename: op.module, name: op.run.name }
      const fault = (await worker.run({ ...op.args, ...share }, task)) as number
      this.#reports?.runs(part)
      return fault
    } catch (error) {
      if (this.#end === undefined) this.#reports?.died(part, error)
      this.#workers[part] = undefined
      await worker.end()
      throw error
    }
  }
}
