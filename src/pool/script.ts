import { ArgumentError, PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import { BAD_ROW } from '../native/layout.js'
import { interpreter, rowStride, runOp } from '../reference/interpreter.js'
import { heed } from './abort.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import { OpList } from './op-list.js'
import type { Op, Program, Share } from './program.js'

import { noStats, type WorkerStats } from './stats.js'
import { Thread, threadsModule } from './threads.js'

/** A TypeScript function, called once for each part of the work. */
export interface Task {
  /** URL of the module that exports `run` under its own name. */
  module: string
  /** Does its share; returns 0, or 1 + the index of what is wrong with the input, or BAD_ROW + a row. */
  // biome-ignore lint/suspicious/noExplicitAny: every function has arguments of its own
  run(task: any): number
  /** Structured-clonable; results go into views of shared memory. */
  args: object
}

/** A call until its tasks have ended. */
interface Call {
  tasks(): Task[]
  /** Why it was stopped, if it was. */
  error: unknown
  /** Rejects the call; ops that have not begun are left out. */
  stop(error: unknown): void
}

/**
 * The engine where no native library loads: every op is interpreted in TypeScript, by Piscina once for each worker. The
 * same results, much slower.
 */
export class ScriptEngine implements Engine {
  readonly threads: number
  readonly isa = 'typescript'
  /** By part, from when it is first needed. */
  readonly #workers: (Thread | undefined)[] = []
  readonly #stats: WorkerStats = { ...noStats }
  /** Calls whose programs have not ended. */
  readonly #calls = new Set<Call>()
  #end: PoolClosedError | undefined
  /** Ends when every call so far has: calls run in order. */
  #last: Promise<void> = Promise.resolve()

  /** @throws ArgumentError in a bundle, whose modules are one file: threads that load one would run the whole program */
  constructor(threads: number) {
    if (threadsModule === import.meta.url) {
      const remedy = 'leave it out of the bundle, or name a `nativeLibrary` and do not calibrate'
      throw new ArgumentError(
        'dotpool',
        `files of its own, for threads to load; ${remedy}`,
        'a bundle',
      )
    }
    this.threads = threads
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
    return new Promise((resolve, reject) => {
      const call: Call = {
        tasks,
        error: undefined,
        stop: (error) => {
          call.error ??= error
          signal?.removeEventListener('abort', onAbort)
          reject(call.error)
        },
      }
      const onAbort = () => call.stop(signal?.reason)
      heed(signal, onAbort)
      this.#calls.add(call)
      this.#last = this.#last.then(async () => {
        await this.#runCall(call).then(resolve, call.stop)
        signal?.removeEventListener('abort', onAbort)
        this.#calls.delete(call)
        release()
      })
    })
  }

  /** Runs on the calling thread alone: nothing can wake a Piscina worker and wait for it here. */
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
    for (const call of this.#calls) call.stop(this.#end)
    await Promise.all(this.#workers.map((worker) => worker?.end()))
    await this.#last
  }

  async #runCall(call: Call): Promise<number> {
    let fault = 0
    const start = performance.now()
    for (const task of call.tasks()) {
      // what comes after a row that is not there would look for it, too
      if (call.error !== undefined || fault >= BAD_ROW) break
      const faults = await this.#runEverywhere(task)
      fault ||= Math.max(...faults)
      this.#stats.tiles++
    }
    this.#stats.busyMicros += (performance.now() - start) * 1000
    this.#stats.regions++
    return fault
  }

  /** Settles once no worker runs it any more, for then its memory is used again. */
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
      return (await worker.run(
        { ...args, ...share },
        { filename: module, name: run.name },
      )) as number
    } catch (error) {
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
