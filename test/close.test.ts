import { intMatmul, Linear, Pool, PoolClosedError, Tensor } from 'dotpool'
import { describe, expect, it } from 'vitest'
import { createPool } from './support/isas.js'
import { errorOf, pause, slowIsa, slowPool, threadCount } from './support/threads.js'

describe('close', () => {
  it.each([1, 2, 8])('rejects running and queued calls, and ends %i threads', async (threads) => {
    const slow = await slowPool(threads)
    const calls = [
      slow.slowly(),
      ...Array.from({ length: 50 }, () => slow.layer.forward(slow.row)),
      intMatmul(
        slow.pool,
        new Tensor('int8', new Int8Array(4), [2, 2]),
        new Tensor('int8', new Int8Array(4), [2, 2]),
      ),
      Linear.fromFloat(slow.pool, new Float32Array(256), { inFeatures: 16, outFeatures: 16 }),
    ].map(errorOf)
    await pause(10)
    const closed = slow.pool.close()
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(PoolClosedError)
    await closed
    expect(threadCount()).toBe(0)
    expect(await errorOf(slow.layer.forward(slow.row))).toBeInstanceOf(PoolClosedError)
  })

  it('can be called again, at once or later', async () => {
    const pool = await Pool.create({ threads: 2 })
    await Promise.all([pool.close(), pool.close(), pool[Symbol.asyncDispose]()])
    await pool.close()
    expect(threadCount()).toBe(0)
  })

  it('ends idle pools: parked, long idle, never used, and with workers that never spin', async () => {
    for (const [spinMicros, idle] of [
      [0, 0],
      [50, 5],
      [0, 5],
      [50, 300],
    ]) {
      const pool = await Pool.create({ threads: 2, spinMicros })
      await pause(idle)
      await pool.close()
      expect(threadCount()).toBe(0)
    }
  })

  it('is what `await using` calls', async () => {
    let layer: Linear
    {
      await using pool = await Pool.create({ threads: 1 })
      layer = await Linear.fromInt8(pool, new Int8Array(1), 1, { inFeatures: 1, outFeatures: 1 })
    }
    expect(await errorOf(layer.forward(new Float32Array(1)))).toBeInstanceOf(PoolClosedError)
    expect(threadCount()).toBe(0)
  })

  it('leaves other pools alone', async () => {
    await using slow = await slowPool(2)
    const other = await createPool(slowIsa, { threads: 2 })
    const call = slow.slowly()
    await other.close()
    await call
    expect(threadCount()).toBe(2)
  })

  it('rejects calls of the TypeScript fallback too', async () => {
    const pool = await createPool('typescript', { threads: 2 })
    const shape = { inFeatures: 256, outFeatures: 256 }
    const layer = await Linear.fromInt8(pool, new Int8Array(65536), 1, shape)
    const calls = [1, 1000].map((rows) => errorOf(layer.forward(new Float32Array(256 * rows))))
    await pool.close()
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(PoolClosedError)
    expect(threadCount()).toBe(0)
  })
})
