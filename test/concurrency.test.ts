import { Linear, LinearGroup, Pool, QueueFullError } from 'dotpool'
import { describe, expect, it } from 'vitest'
import { QUEUE_LIMIT } from '#src/pool/engine.js'
import { createPool, isas } from './support/isas.js'
import { bf16Tensor, makeCase, optionsOf } from './support/random.js'
import { expectSameBits, linearReference, linearReferenceBf16 } from './support/reference.js'
import { errorOf, pause, slowPool } from './support/threads.js'

describe('concurrent calls', () => {
  it.each(isas)('each give their own result, and start in order, on %s', async (isa) => {
    await using pool = await createPool(isa, { threads: 2 })
    const linear = makeCase({ rows: 200, inFeatures: 40, outFeatures: 70 }, true, 1)
    const { weight, scale } = linear
    const layer = await Linear.fromInt8(pool, weight, scale, optionsOf(linear))
    const expected = linearReference(linear)
    const settled: number[] = []
    const calls = Array.from({ length: 200 }, async (_, i) => {
      const y = await layer.forward(linear.x.subarray(i * 40, (i + 1) * 40))
      settled.push(i)
      return y
    })
    for (const [i, y] of (await Promise.all(calls)).entries()) {
      expectSameBits(y, expected.subarray(i * 70, (i + 1) * 70), `call ${i}:`)
    }
    expect(settled).toEqual(settled.toSorted((a, b) => a - b))
  })

  it('that cannot be joined finish in order too', async () => {
    await using pool = await Pool.create({ threads: 1 })
    const shape = { inFeatures: 4, outFeatures: 4 }
    const layer = await Linear.fromInt8(pool, new Int8Array(16).fill(1), 1, shape)
    const group = new LinearGroup([layer])
    const settled: number[] = []
    const calls = Array.from({ length: 200 }, async (_, i) => {
      await group.forward(new Float32Array(4))
      settled.push(i)
    })
    await Promise.all(calls)
    expect(settled).toEqual(settled.toSorted((a, b) => a - b))
  })

  it.each(isas)('make Node emit no warning, on %s', async (isa) => {
    const warnings: Error[] = []
    const warn = (warning: Error) => warnings.push(warning)
    process.on('warning', warn)
    await using pool = await createPool(isa, { threads: 2 })
    const shape = { inFeatures: 4, outFeatures: 4 }
    // such as the one for more than ten listeners on a signal
    const layers = Array.from({ length: 30 }, () =>
      Linear.fromInt8(pool, new Int8Array(16), 1, shape),
    )
    const group = new LinearGroup((await Promise.all(layers)).slice(15))
    await Promise.all(layers.map(() => group.forward(new Float32Array(4))))
    await pause(0)
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })

  it('can be of any size and type, awaited or blocking, with `out` or without', async () => {
    await using pool = await Pool.create({ threads: 3 })
    const shape = { inFeatures: 40, outFeatures: 70 }
    const { weight, scale } = makeCase({ rows: 1, ...shape }, false, 2)
    const layer = await Linear.fromInt8(pool, weight, scale, shape)
    const other = await Linear.fromInt8(pool, weight, scale, shape)
    const calls = Array.from({ length: 300 }, async (_, i) => {
      const rows = [1, 2, 17, 1, 300][i % 5]
      const linear = { ...makeCase({ rows, ...shape }, false, i), weight, scale }
      const target = i % 3 === 0 ? layer : other
      if (i % 11 === 0) return expectSameBits(layer.forwardSync(linear.x), linearReference(linear))
      if (i % 2 === 0) {
        const y = await target.forward(bf16Tensor(linear.x, [rows, 40]))
        return expectSameBits(y.data, linearReferenceBf16(linear))
      }
      const out = i % 7 === 0 ? new Float32Array(rows * 70) : undefined
      expectSameBits(await target.forward(linear.x, { out }), linearReference(linear), `call ${i}:`)
    })
    await Promise.all(calls)
  })

  it('on two pools do not disturb each other, even with more threads than cores', async () => {
    await using a = await Pool.create({ threads: 8 })
    await using b = await Pool.create({ threads: 8, spinMicros: 0 })
    const linear = makeCase({ rows: 30, inFeatures: 100, outFeatures: 200 }, true, 3)
    const { weight, scale } = linear
    const expected = linearReference(linear)
    const layers = await Promise.all(
      [a, b].map((pool) => Linear.fromInt8(pool, weight, scale, optionsOf(linear))),
    )
    for (let round = 0; round < 20; round++) {
      const results = await Promise.all(layers.map((layer) => layer.forward(linear.x)))
      for (const y of results) expectSameBits(y, expected)
    }
  })

  it('are joined while they wait: one read of the weights serves several', async () => {
    await using slow = await slowPool(1)
    const { pool, layer, row, expected } = slow
    const end = slow.begin()
    pool.resetStats()
    const calls = Array.from({ length: 64 }, () => layer.forward(row))
    await end()
    for (const y of await Promise.all(calls)) expectSameBits(y, expected)
    // the slow call, one more that started at once, and the rest in a batch or two
    expect(pool.stats().regions).toBeLessThan(8)
  })

  it.each(['a Linear', 'a LinearGroup'])(
    'beyond the limit are refused with a QueueFullError, until some finish: %s',
    async (what) => {
      await using slow = await slowPool(1)
      const shape = { inFeatures: 4, outFeatures: 4 }
      const layer = await Linear.fromInt8(slow.pool, new Int8Array(16).fill(1), 1, shape)
      const group = new LinearGroup([layer])
      const x = new Float32Array(4).fill(127)
      const call = () => (what === 'a Linear' ? layer.forward(x) : group.forward(x))
      const end = slow.begin()
      const calls = Array.from({ length: QUEUE_LIMIT + 100 }, () => errorOf(call()))
      await end()
      const errors = (await Promise.all(calls)).filter((error) => error !== undefined)
      // some calls have started already; or none has, and the long call is one of those that wait
      expect(errors.length).toBeGreaterThan(0)
      expect(errors.length).toBeLessThanOrEqual(101)
      for (const error of errors) {
        expect(error).toBeInstanceOf(QueueFullError)
        expect(error).toMatchObject({ code: 'ERR_DOTPOOL_QUEUE_FULL' })
      }
      expect(await layer.forward(x)).toEqual(new Float32Array(4).fill(4 * 127))
    },
  )
})

describe('the event loop', () => {
  it('keeps turning while a long call runs', async () => {
    await using slow = await slowPool(1)
    let ended = false
    const call = slow.slowly().then(() => {
      ended = true
    })
    let turns = 0
    for (; !ended; turns++) await new Promise((resolve) => setImmediate(resolve))
    await call
    expect(turns).toBeGreaterThan(20)
  })
})
