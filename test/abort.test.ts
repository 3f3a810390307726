import { getEventListeners } from 'node:events'
import { FusedMlp, intMatmul, Linear, LinearGroup, Pool, Tensor } from 'dotpool'
import { describe, expect, it } from 'vitest'
import { createPool, scripted, why } from './support/isas.js'
import { expectSameBits } from './support/reference.js'
import { errorOf, pause, slowPool, threadCount, until } from './support/threads.js'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

describe('an AbortSignal', () => {
  it('that is already aborted rejects with its reason before any work runs', async () => {
    await using slow = await slowPool(2)
    const { pool, layer, row } = slow
    const signal = AbortSignal.abort(new Error('not today'))
    const matrix = new Tensor('int8', new Int8Array(4), [2, 2])
    const group = new LinearGroup([layer, layer])
    pool.resetStats()
    for (const call of [
      layer.forward(row, { signal }),
      layer.forward(row, { signal, precision: 'float32' }),
      group.forward(row, { signal }),
      intMatmul(pool, matrix, matrix, { signal }),
      Linear.fromInt8(pool, new Int8Array(4), 1, { inFeatures: 2, outFeatures: 2, signal }),
    ]) {
      expect(await errorOf(call)).toBe(signal.reason)
    }
    await pause(20)
    expect(pool.stats().regions).toBe(0)
    expect(listeners(signal)).toBe(0)
  })

  it.skipIf(scripted)(
    `rejects a running call; workers skip the rest of it and stay alive${why}`,
    async () => {
      await using slow = await slowPool(2)
      const { pool, layer, row, expected } = slow
      pool.resetStats()
      await slow.slowly()
      const whole = pool.stats().units
      const threads = threadCount()
      for (let i = 0; i < 3; i++) {
        pool.resetStats()
        const controller = new AbortController()
        const call = errorOf(slow.slowly(controller.signal))
        await until(() => pool.stats().units > 0)
        controller.abort()
        expect(await call).toBe(controller.signal.reason)
        expect(listeners(controller.signal)).toBe(0)
        expectSameBits(await layer.forward(row), expected)
        expect(pool.stats().units).toBeLessThan(whole)
      }
      expect(threadCount()).toBe(threads)
    },
  )

  it('rejects a queued call, and only that one', async () => {
    await using slow = await slowPool(1)
    const { layer, row, expected } = slow
    const end = slow.begin()
    const controllers = Array.from({ length: 60 }, () => new AbortController())
    const calls = controllers.map(({ signal }) => layer.forward(row, { signal }))
    const results = Promise.allSettled(calls)
    for (const [i, controller] of controllers.entries()) {
      if (i % 2 === 1) controller.abort(i)
    }
    await end()
    for (const [i, result] of (await results).entries()) {
      if (i % 2 === 1) expect(result).toEqual({ status: 'rejected', reason: i })
      else expectSameBits((result as PromiseFulfilledResult<Float32Array>).value, expected)
    }
    for (const { signal } of controllers) expect(listeners(signal)).toBe(0)
  })

  it('rejects at once while the program ring is full', async () => {
    await using slow = await slowPool(1)
    const { layer, row } = slow
    const end = slow.begin()
    // groups are not joined: each call is a program of its own
    const group = new LinearGroup([layer])
    const others = Array.from({ length: 50 }, () => group.forward(row))
    const controller = new AbortController()
    const call = errorOf(group.forward(row, { signal: controller.signal }))
    controller.abort()
    expect(await call).toBe(controller.signal.reason)
    await end()
    for (const [y] of await Promise.all(others)) expectSameBits(y, slow.expected)
  })

  it('serves any number of calls without accumulating listeners', async () => {
    await using slow = await slowPool(2)
    const { pool, layer, row } = slow
    const { signal } = new AbortController()
    const down = await Linear.fromInt8(pool, new Int8Array(640), 1, {
      inFeatures: 640,
      outFeatures: 1,
    })
    const mlp = new FusedMlp(layer, layer, down)
    for (let i = 0; i < 20; i++) {
      const calls: Promise<unknown>[] = Array.from({ length: 5 }, () =>
        layer.forward(row, { signal }),
      )
      await Promise.all([...calls, mlp.forward(row, { signal })])
    }
    expect(listeners(signal)).toBe(0)
  })

  it('stops the packing of a large weight', async () => {
    await using slow = await slowPool(1)
    const controller = new AbortController()
    const shape = { inFeatures: 4096, outFeatures: 4096 }
    let done = 0
    const onProgress = (rows: number) => {
      done = rows
      controller.abort()
    }
    const options = { ...shape, signal: controller.signal, onProgress }
    const call = Linear.fromFloat(slow.pool, new Float32Array(4096 * 4096), options)
    expect(await errorOf(call)).toBe(controller.signal.reason)
    expect(done).toBeLessThan(4096)
    expect(listeners(controller.signal)).toBe(0)
  })

  it('works in the TypeScript fallback too', async () => {
    await using pool = await createPool('typescript', { threads: 2 })
    const shape = { inFeatures: 256, outFeatures: 256 }
    const layer = await Linear.fromInt8(pool, new Int8Array(65536).fill(1), 1, shape)
    const controller = new AbortController()
    const call = errorOf(layer.forward(new Float32Array(256 * 1000), { signal: controller.signal }))
    const next = layer.forward(new Float32Array(256).fill(127))
    await pause(10)
    controller.abort()
    expect(await call).toBe(controller.signal.reason)
    expect((await next).every((value) => value === 127 * 256)).toBe(true)
  })
})

it('a signal serves any number of calls at once without a warning', async () => {
  await using pool = await Pool.create({ threads: 1 })
  const shape = { inFeatures: 4, outFeatures: 3 }
  const layers = await Promise.all(
    Array.from({ length: 40 }, () => Linear.fromInt8(pool, new Int8Array(12), 1, shape)),
  )
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  const { signal } = new AbortController()
  await Promise.all(layers.map((layer) => layer.forward(new Float32Array(4), { signal })))
  // Node emits warnings in a later turn of the event loop
  await new Promise((resolve) => setTimeout(resolve, 10))
  process.off('warning', warn)
  expect(warnings).toEqual([])
})
