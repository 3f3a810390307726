import { Linear, WorkerDiedError } from 'dotpool'
import { describe, expect, it } from 'vitest'
import { loadWasm } from '#src/native/load.js'
import { runScript } from '../support/child.js'
import { createPool, scripted, why } from '../support/isas.js'
import { expectSameBits } from '../support/reference.js'
import {
  errorOf,
  killOldestThread,
  killThread,
  killThreads,
  pause,
  slowPool,
  threadCount,
  until,
} from '../support/threads.js'

/** Threads of the TypeScript fallback die in the middle of a claim, those of the native library only between claims. */
const wasm = (loadWasm()?.isas() ?? []).slice(-1)

const pools: [threads: number, isa: string][] = [
  [1, 'scalar'],
  [2, 'scalar'],
  ...wasm.map((isa): [number, string] => [2, isa]),
]

describe.skipIf(scripted)(`a worker thread that dies${why}`, () => {
  it.each(pools)(
    'during a call rejects at most that call: %i threads, %s',
    async (threads, isa) => {
      await using slow = await slowPool(threads, isa)
      let died = 0
      for (let i = 0; i < 3; i++) {
        const call = errorOf(slow.slowly())
        await pause(10 + 10 * i)
        await killThread()
        const error = await call
        if (error !== undefined) {
          expect(error).toBeInstanceOf(WorkerDiedError)
          expect(error).toMatchObject({ code: 'ERR_DOTPOOL_WORKER_DIED', cause: expect.any(Error) })
          died++
        }
        expectSameBits(await slow.layer.forward(slow.row), slow.expected)
        expectSameBits(slow.layer.forwardSync(slow.row), slow.expected)
        await until(() => threadCount() === threads)
      }
      expect(died).toBeGreaterThan(0)
    },
  )

  it('dies long before the end of the call', async () => {
    await using slow = await slowPool(1)
    const { pool } = slow
    pool.resetStats()
    await slow.slowly()
    const whole = pool.stats().units
    pool.resetStats()
    const call = errorOf(slow.slowly())
    await until(() => pool.stats().units > 0)
    await killThread()
    expect(pool.stats().units).toBeLessThan(whole)
    expect(await call).toBeInstanceOf(WorkerDiedError)
  })

  it('leaves the other calls alone', async () => {
    await using slow = await slowPool(2)
    const first = errorOf(slow.slowly())
    const others = Array.from({ length: 40 }, () => slow.layer.forward(slow.row))
    const settled = Promise.allSettled(others)
    await pause(20)
    await killThread()
    await first
    const results = await settled
    const good = results.filter((result) => result.status === 'fulfilled')
    // calls that were joined into one are rejected together
    expect(good.length).toBeGreaterThan(0)
    for (const result of results) {
      if (result.status === 'fulfilled') expectSameBits(result.value, slow.expected)
      else expect(result.reason).toBeInstanceOf(WorkerDiedError)
    }
  })

  it('while the pool is idle rejects no call', async () => {
    await using slow = await slowPool(2)
    for (const idle of [0, 5, 400]) {
      await slow.layer.forward(slow.row)
      await pause(idle)
      await killThread()
      expectSameBits(await slow.layer.forward(slow.row), slow.expected)
      await until(() => threadCount() === 2)
    }
  })

  it('does no harm even if all of many die at once', async () => {
    await using slow = await slowPool(10)
    const call = errorOf(slow.slowly())
    await pause(10)
    await killThreads()
    const error = await call
    if (error !== undefined) expect(error).toBeInstanceOf(WorkerDiedError)
    expectSameBits(await slow.layer.forward(slow.row), slow.expected)
  })

  it('does not keep close() waiting', async () => {
    const slow = await slowPool(2)
    const call = errorOf(slow.slowly())
    await pause(10)
    const killed = killThread()
    await slow.pool.close()
    await killed
    expect(await call).toBeInstanceOf(Error)
    expect(threadCount()).toBe(0)
  })
})

it('a worker thread that dies without a native library rejects at most one call', async () => {
  await using pool = await createPool('typescript', { threads: 2 })
  const shape = { inFeatures: 256, outFeatures: 256 }
  const layer = await Linear.fromInt8(pool, new Int8Array(65536).fill(1), 1, shape)
  const row = new Float32Array(256).fill(127)
  const expected = new Float32Array(256).fill(256 * 127)
  expectSameBits(await layer.forward(row), expected)
  const call = errorOf(layer.forward(new Float32Array(256 * 2000)))
  await pause(20)
  await killOldestThread()
  expect(await call).toBeInstanceOf(WorkerDiedError)
  expectSameBits(await layer.forward(row), expected)
})

// in a process of its own: a failure would block the event loop for ever
it.skipIf(wasm.length === 0)(
  'a blocking call returns although a worker dies in the middle of a claim',
  async () => {
    const { code, stdout, stderr } = await runScript(
      `
      import { Linear, Pool } from 'dotpool'
      const serving = new Set()
      process.on('worker', (worker) => {
        worker.on('message', (message) => typeof message === 'number' && serving.add(worker))
        worker.on('exit', () => serving.delete(worker))
      })
      const pool = await Pool.create({ threads: 2 })
      const shape = { inFeatures: 512, outFeatures: 640 }
      const layer = await Linear.fromInt8(pool, new Int8Array(512 * 640).fill(1), 1, shape)
      const x = new Float32Array(512 * 200).fill(127)
      const codes = new Set()
      for (let i = 0; i < 100 && !codes.has('ERR_DOTPOOL_WORKER_DIED'); i++) {
        // a worker that died between calls is replaced for the next
        while (serving.size === 0) await layer.forward(x)
        const [worker] = serving
        serving.delete(worker)
        worker.terminate()
        try {
          const y = layer.forwardSync(x)
          if (y.some((value) => value !== 512 * 127)) codes.add('wrong')
        } catch (error) {
          codes.add(error.code)
        }
        const y = await layer.forward(x.subarray(0, 512))
        if (y.some((value) => value !== 512 * 127)) codes.add('wrong')
      }
      console.log([...codes].join())
      process.exit()`,
      { env: { DOTPOOL_ISA: wasm[0] as string } },
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^(ERR_DOTPOOL_WORKER_DIED)?\n$/)
  },
)
