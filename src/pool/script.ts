import { AbortableDeferred } from '../abort.js'
import { ArgumentError, PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import { BAD_ROW } from '../native/layout.js'
import type { Op } from '../native/op.js'
import { interpreter, rowStride, runOp } from '../reference/interpreter.js'
import type { Share } from '../reference/share.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import { OpList } from './op-list.js'
import type { Program } from './program.js'
import { noStats, type WorkerStats } from './stats.js'
import { Thread, threadsModule } from './threads.js'
import { WorkerReports } from './worker-reports.js'

/** A TypeScript function that runs on all workers, each of which does its share. */
export interface Task {
  /** URL of the bundle that exports `run` under its own name. */
  module: string
  /** Does its share; returns 0, or 1 + the index of what is wrong with the input, or BAD_ROW + a row. */
  // biome-ignore lint/suspicious/noExplicitAny: every function has arguments of its own
  run(task: any): number
  /** Structured-clonable; results go into views of shared memory. */
  args: object
}

/** A call, from when it is made until its tasks have ended. */
interface Call {
  tasks(): Task[]
  /** Once it is rejected, tasks that have not started are skipped. */
  deferred: AbortableDeferred<number>
}

/**
 * The engine without native code: every op is interpreted in TypeScript, by Piscina once for each worker. Same
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
      const remedy =
        'leave dotpool out of the bundle, or set `nativeLibrary`, and neither calibrate nor load four bits of other tools'
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

  rowStride(k: number): number {
    return rowStride(k)
  }

  run(program: Program, signal?: AbortSignal): Promise<number> {
    const tasks = () =>
      opsOf(program).map((op) => ({ module: interpreter, run: runOp, args: { op } }))
    return this.runTasks(tasks, signal, () => program.release?.())
  }

  /**
   * Runs tasks one after the other, each on all workers, as {@link run} does the ops of a program.
   *
   * @param tasks asked for when their turn comes
   * @param release called once no worker can touch their memory any more
   */
  async runTasks(
    tasks: () => Task[],
    signal?: AbortSignal,
    release: () => void = () => {},
  ): Promise<number> {
    if (this.#end !== undefined || signal?.aborted || this.#calls.size >= QUEUE_LIMIT) {
      release()
      throw this.#end ?? (signal?.aborted ? signal.reason : new QueueFullError(QUEUE_LIMIT))
    }
    const deferred = new AbortableDeferred<number>(signal)
    const call: Call = { tasks, deferred }
    this.#calls.add(call)
    this.#last = this.#last.then(async () => {
      await this.#runCall(call).then(
        (fault) => deferred.resolve(fault),
        (error) => deferred.reject(error),
      )
      this.#calls.delete(call)
      release()
    })
    return deferred.promise
  }

  /** Runs on the calling thread alone, which cannot wait for a Piscina worker while it blocks. */
  runSync(program: Program): number {
    try {
      if (this.#end !== undefined) throw this.#end
      const whole: Share = { part: 0, parts: 1 }
      return Math.max(0, ...opsOf(program).map((op) => runOp({ op, ...whole })))
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

  async #runCall({ tasks, deferred }: Call): Promise<number> {
    let fault = 0
    const start = performance.now()
    for (const task of tasks()) {
      // later ops would look for the missing row too
      if (deferred.isSettled || fault >= BAD_ROW) break
      const faults = await this.#runEverywhere(task)
      fault ||= Math.max(...faults)
      this.#stats.units++
    }
    this.#stats.busyMicros += (performance.now() - start) * 1000
    this.#stats.regions++
    return fault
  }

  /** Settles once no worker runs the task any more, because its memory is reused then. */
  async #runEverywhere(task: Task): Promise<number[]> {
    const parts = Array.from({ length: this.threads }, (_, part) => this.#runPart(task, part))
    return (await Promise.allSettled(parts)).map((outcome) => {
      if (outcome.status === 'rejected') throw new WorkerDiedError(outcome.reason)
      return outcome.value
    })
  }

  async #runPart({ module, run, args }: Task, part: number): Promise<number> {
    this.#workers[part] ??= new Thread()
    const worker = this.#workers[part]
    const share: Share = { part, parts: this.threads }
    try {
      const where = { filename: module, name: run.name }
      const fault = (await worker.run({ ...args, ...share }, where)) as number
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

function opsOf(program: Program): readonly Op[] {
  const ops = program.ops()
  return ops instanceof OpList ? ops.ops : ops
}
