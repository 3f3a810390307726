import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Cores, chooseCpus, usableThreads } from '../cpus/usable.js'
import { ArgumentError, checkInteger, describe, PoolClosedError } from '../errors.js'
import type { Native } from '../native/abi.js'
import { MAX_WORKERS } from '../native/layout.js'
import { chooseNative } from '../native/load.js'
import type { Op } from '../native/op.js'
import { checkOptions, type OptionNames } from '../options.js'
import { checkType, copyDims, sizeOf, Tensor, type TensorType } from '../tensor.js'
import type { Engine } from './engine.js'
import { Memory } from './memory.js'
import { OpList } from './op-list.js'
import type { Program } from './program.js'
import { Region } from './region.js'
import { ScriptEngine } from './script.js'
import { combineStats, noStats, type PoolStats, type WorkerStats } from './stats.js'

export interface PoolOptions {
  /**
   * The number of worker threads; by default one for each CPU that this process may use (CPU affinity, cgroup
   * quotas) or, where the system tells fast cores from slow ones, one for each CPU of a fast core.
   */
  threads?: number | undefined
  /**
   * Keeps the worker threads on some CPUs: `'fast'` for those of the fast cores, where a machine has slow ones too,
   * or an array of CPU numbers. By default the system places threads. Only Linux numbers its CPUs: on other systems
   * `'fast'` changes nothing, and an array is rejected.
   */
  cores?: Cores | undefined
  /**
   * How long a worker spins for the next call before it sleeps, microseconds. Default 50. Where the workers leave a
   * core to the calling thread, its event loop polls 20 times as long for a result; where they do not, the thread runs
   * work in the place of one of them while it waits, for about 250 us in each turn of its event loop.
   */
  spinMicros?: number | undefined
  /**
   * The file of the native library, or of its WebAssembly module, for programs whose files lie elsewhere, such as
   * bundles. By default it is searched for.
   */
  nativeLibrary?: string | undefined
  /** The URL of the file that workers run, for bundles: where `dotpool/worker` was put. */
  workerUrl?: string | URL | undefined
}

const poolOptions: OptionNames<PoolOptions> = {
  threads: true,
  cores: true,
  spinMicros: true,
  nativeLibrary: true,
  workerUrl: true,
}

/** Something that ends with its pool. */
export interface Dependent {
  /** Rejects what is pending with `reason`; resolves once its threads have ended. */
  end(reason: PoolClosedError): Promise<void>
}

/**
 * Worker threads that run int8 Linear layers together: one parallel region for every call. An idle pool uses no CPU
 * and does not keep the process alive.
 */
export class Pool {
  readonly #engine: Engine
  readonly #native: Native | null
  readonly #memory: Memory
  /** Weak, so that a model that is no longer referenced can be collected before the pool ends. */
  readonly #dependents = new Set<WeakRef<Dependent>>()
  #statsAtReset: WorkerStats[]
  #closing: Promise<void> | undefined

  private constructor(engine: Engine, native: Native | null) {
    this.#engine = engine
    this.#native = native
    this.#memory = new Memory(native)
    this.#statsAtReset = engine.stats().map(() => noStats)
  }

  /**
   * Starts the worker threads; resolves once all have started.
   *
   * @throws ArgumentError for an invalid option, or a DOTPOOL_ISA, DOTPOOL_LIBRARY or `nativeLibrary` that this
   *   machine cannot run
   * @throws PoolBrokenError if worker threads die as they start
   */
  static async create(options: PoolOptions = {}): Promise<Pool> {
    const checked = checkOptions(options, poolOptions)
    const { cores, spinMicros = 50, nativeLibrary } = checked
    const cpus = chooseCpus(cores)
    const { threads = usableThreads(cpus) } = checked
    checkInteger('threads', threads, 1, MAX_WORKERS)
    checkInteger('spinMicros', spinMicros, 0, 1_000_000)
    const workerUrl = checkWorkerUrl(checked.workerUrl ?? new URL('./worker.cjs', import.meta.url))
    const native = chooseNative(nativeLibrary)
    const engine =
      native === null
        ? new ScriptEngine(threads)
        : new Region(native, { threads, spinMicros, workerUrl, cpus })
    const pool = new Pool(engine, native)
    await engine.start(pool)
    return pool
  }

  /** The number of worker threads. */
  get threads(): number {
    return this.#engine.threads
  }

  /** The kernels that run, such as `avx512vnni`; `wasm` or `typescript` without a native library. */
  get isa(): string {
    return this.#engine.isa
  }

  /**
   * Allocates a tensor of zeros in shared memory. As an input it is not copied, and its results are in shared memory
   * too.
   *
   * @param type element type
   * @param dims sizes, outermost first
   * @throws ArgumentError for an unknown type or impossible sizes, OutOfMemoryError
   */
  tensor<T extends TensorType>(type: T, dims: readonly number[]): Tensor<T> {
    checkType(type)
    const sizes = copyDims(dims)
    return new Tensor(type, this.#memory.array(type, sizeOf(sizes)), sizes)
  }

  /** Tells what the workers have done since the pool started or since the last {@link Pool.resetStats}. */
  stats(): PoolStats {
    const all = this.#engine
      .stats()
      .map((now, i) => combineStats(now, this.#statsAtReset[i], (a, b) => a - b))
    const total = all.reduce((a, b) => combineStats(a, b, (x, y) => x + y))
    return { ...total, workers: all.slice(0, -1), caller: all[all.length - 1] }
  }

  /** Makes {@link Pool.stats} count from now on. */
  resetStats(): void {
    this.#statsAtReset = this.#engine.stats()
  }

  /**
   * Ends the worker threads, and the threads that tokenise for the pool's models. Rejects calls in flight and later
   * ones with PoolClosedError, except later calls that tokenise. Resolves once all threads have ended; may be called
   * again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  toString(): string {
    return `Pool(threads=${this.threads}, isa=${this.isa})`
  }

  // ---- for ops ----------------------------------------------------------------------------------

  /** @internal The native code in use, if any. */
  get native(): Native | null {
    return this.#native
  }

  /** @internal The address of the view's memory for C; 0 without native code. */
  addressOf(view: ArrayBufferView): number {
    return this.#native?.address(view) ?? 0
  }

  /** @internal Ends `dependent` with the pool, or at once if that is closed already. References it weakly. */
  attach(dependent: Dependent): void {
    for (const ref of this.#dependents) {
      if (ref.deref() === undefined) this.#dependents.delete(ref)
    }
    this.#dependents.add(new WeakRef(dependent))
    if (this.#closing !== undefined) void dependent.end(new PoolClosedError())
  }

  /** @internal See {@link Engine.rowStride}. */
  rowStride(k: number): number {
    return this.#engine.rowStride(k)
  }

  /** @internal Ops that are kept to be run again and again. */
  opList(ops: readonly Op[]): OpList {
    return new OpList(this.#native, this.threads, ops)
  }

  /** @internal Memory that the workers see. */
  get memory(): Memory {
    return this.#memory
  }

  /** @internal See {@link Engine.run}. */
  run(program: Program, signal?: AbortSignal): Promise<number> {
    return this.#engine.run(program, signal)
  }

  /** @internal See {@link Engine.runSync}. */
  runSync(program: Program): number {
    return this.#engine.runSync(program)
  }

  async #end(): Promise<void> {
    const reason = new PoolClosedError()
    const dependents = Array.from(this.#dependents, (ref) => ref.deref()?.end(reason))
    await Promise.all([this.#engine.close(), ...dependents])
  }
}

/** Checks that it is the URL of an existing file: a thread that does not find its file reports nothing. */
function checkWorkerUrl(workerUrl: string | URL): string {
  try {
    const { href } = new URL(workerUrl)
    if (existsSync(fileURLToPath(href))) return href
  } catch {
    // not a URL, or not that of a file
  }
  const got = workerUrl instanceof URL ? workerUrl.href : workerUrl
  throw new ArgumentError('workerUrl', 'the file: URL of an existing file', describe(got))
}

/** Throws an ArgumentError unless it is a Pool. */
export function checkPool(pool: unknown): asserts pool is Pool {
  if (!(pool instanceof Pool)) throw new ArgumentError('pool', 'a Pool', describe(pool))
}
