import type { Worker } from 'node:worker_threads'
import { Linear, type Pool } from 'dotpool'
import { createPool } from './isas.js'
import { makeCase } from './random.js'
import { linearReference } from './reference.js'

/** Threads that have told they are up; Node itself aborts if one is killed while it still loads. */
const up = new Set<Worker>()
const born = new Set<Worker>()

process.on('worker', (worker: Worker) => {
  born.add(worker)
  worker.on('message', () => up.add(worker))
  worker.on('exit', () => {
    born.delete(worker)
    up.delete(worker)
  })
})

/** Worker threads of this process that exist, started or not. */
export function threadCount(): number {
  return born.size
}

/** Ends one of the process's worker threads as soon as one is up, as a crash would. */
export async function killThread(): Promise<void> {
  await until(() => up.size > 0)
  const [worker] = up
  up.delete(worker)
  await worker.terminate()
}

/** Ends all worker threads of the process. */
export async function killThreads(): Promise<void> {
  await until(() => up.size === born.size)
  await Promise.all([...up].map((worker) => worker.terminate()))
}

/** Waits for something that happens on other threads; fails where it never does. */
export async function until(condition: () => boolean, millis = 5000): Promise<void> {
  const end = performance.now() + millis
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

export const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** Rows of a call that takes long. */
const ROWS = 4000

/** A pool with a layer whose calls take long: portable kernels, about half a second on one thread. */
export async function slowPool(threads: number): Promise<SlowPool> {
  const pool = await createPool('scalar', { threads })
  const shape = { inFeatures: 512, outFeatures: 640 }
  const { weight, scale } = makeCase({ rows: 1, ...shape }, false, 1)
  const layer = await Linear.fromInt8(pool, weight, scale, shape)
  const row = makeCase({ rows: 1, ...shape }, false, 2).x
  const x = pool.tensor('float32', [ROWS, 512])
  for (let m = 0; m < ROWS; m++) x.data.set(row, m * 512)
  const y = pool.tensor('float32', [ROWS, 640])
  return {
    pool,
    layer,
    row,
    expected: linearReference({ rows: 1, ...shape, weight, scale, bias: undefined, x: row }),
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
  /** A call that takes long. */
  slowly(signal?: AbortSignal): Promise<void>
  /** Begins such a call, for others to wait behind; returns what ends it. */
  begin(): () => Promise<void>
}

/** What became of a call: its error, or undefined if it succeeded. */
export function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  )
}
