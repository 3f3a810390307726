import { Linear, type Pool } from 'dotpool'
import { createPool, isas } from './isas.js'
import { poolThreads, serving } from './pool-threads.js'
import { makeCase } from './random.js'
import { linearReference } from './reference.js'

/** Counts the worker threads of this process's pools, started or not. */
export function threadCount(): number {
  return poolThreads().length
}

/** Terminates a worker thread of the process as soon as one serves a region, as a crash would. */
export async function killThread(): Promise<void> {
  await until(() => serving.size > 0)
  const [worker] = serving
  serving.delete(worker)
  await worker.terminate()
}

/** Terminates the oldest of the process's worker threads, for threads that serve no region. */
export async function killOldestThread(): Promise<void> {
  const [worker] = poolThreads()
  await worker.terminate()
}

/** Terminates all worker threads of the process, once all serve a region. */
export async function killThreads(): Promise<void> {
  await until(() => serving.size === threadCount())
  await Promise.all([...serving].map((worker) => worker.terminate()))
}

/** Waits for something that happens on other threads, until the test times out. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(1)
}

/** Calls `act` after `count` more programs have been given to the pool's workers. */
export function afterPrograms(pool: Pool, count: number, act: () => void): void {
  const run = pool.run
  let left = count
  pool.run = function (...args) {
    if (--left === 0) {
      pool.run = run
      queueMicrotask(act)
    }
    return run.apply(this, args)
  }
}

export const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** The slowest kernels, for calls that take long. */
export const slowIsa = isas.includes('scalar') ? 'scalar' : (isas.at(-1) as string)

/** Rows of a call that takes about half a second on one thread. */
const longRows = (isa: string) => (isa === 'typescript' ? 400 : isa === 'scalar' ? 4000 : 20_000)

/** A pool with a layer whose calls take long, with the slowest kernels or those of another ISA such as `wasm`. */
export async function slowPool(threads: number, isa = slowIsa): Promise<SlowPool> {
  const pool = await createPool(isa, { threads })
  const rows = longRows(isa)
  const shape = { inFeatures: 512, outFeatures: 640 }
  const { weight, scale } = makeCase({ rows: 1, ...shape }, false, 1)
  const layer = await Linear.fromInt8(pool, weight, scale, shape)
  const row = makeCase({ rows: 1, ...shape }, false, 2).x
  const x = pool.tensor('float32', [rows, 512])
  for (let m = 0; m < rows; m++) x.data.set(row, m * 512)
  const y = pool.tensor('float32', [rows, 640])
  return {
    pool,
    layer,
    row,
    expected: linearReference({
      rows: 1,
      ...shape,
      weight,
      scale,
      bias: undefined,
      outliers: 0,
      x: row,
    }),
    slowly: (signal) => layer.forward(x, { signal, out: y }).then(() => {}),
    begin: () => {
      const controller = new AbortController()
      const call = errorOf(layer.forward(x, { signal: controller.signal, out: y }))
      return async () => {
        controller.abort()
        await call
      }
    },
    [Symbol.asyncDispose]: () => pool.close(),
  }
}

export interface SlowPool extends AsyncDisposable {
  pool: Pool
  layer: Linear
  /** One row, and its result. */
  row: Float32Array
  expected: Float32Array
  /** Makes a call that takes long. */
  slowly(signal?: AbortSignal): Promise<void>
  /** Starts such a call, for others to wait behind; returns a function that aborts it. */
  begin(): () => Promise<void>
}

/** Resolves with the error of a call, or undefined if it succeeded. */
export function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  )
}
