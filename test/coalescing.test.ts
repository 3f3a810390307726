import { Linear, type Pool, PoolClosedError, QueueFullError } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import { bf16Tensor, makeCase, randomNumbers, randomRows } from './support/random.js'
import { expectSameBits } from './support/reference.js'

const shape = { inFeatures: 130, outFeatures: 150 }
const { weight, scale, bias } = makeCase({ rows: 1, ...shape }, true, 1)

describe.each(isas)('concurrent calls of one Linear on %s', (isa) => {
  let pool: Pool
  let layer: Linear
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
    layer = await Linear.fromInt8(pool, weight, scale, { ...shape, bias })
  })
  afterAll(async () => await pool.close())

  it('give each call the bits that it gets alone, for any number of rows and either type', async () => {
    const random = randomNumbers(7)
    const inputs = Array.from({ length: 60 }, (_, i) => randomRows(i % 4, 130, random))
    const together = inputs.map(async (x, i) => {
      if (i % 3 > 0) return await layer.forward(x)
      return (await layer.forward(bf16Tensor(x, [x.length / 130, 130]))).data
    })
    for (const [i, result] of (await Promise.all(together)).entries()) {
      const x = inputs[i]
      const alone =
        i % 3 > 0
          ? layer.forwardSync(x)
          : layer.forwardSync(bf16Tensor(x, [x.length / 130, 130])).data
      expectSameBits(result, alone, `call ${i}:`)
    }
  })

  it('stay independent: a row that is not finite spoils its own result only', async () => {
    const inputs = Array.from({ length: 20 }, (_, i) => randomRows(1, 130, randomNumbers(i)))
    inputs[11][5] = Number.NaN
    const results = await Promise.all(inputs.map((x) => layer.forward(x)))
    for (const [i, result] of results.entries()) {
      if (i === 11) expect(result.every(Number.isNaN)).toBe(true)
      else expectSameBits(result, layer.forwardSync(inputs[i]), `call ${i}:`)
    }
  })

  it('can be aborted one by one', async () => {
    const x = randomRows(1, 130, randomNumbers(3))
    const controllers = Array.from({ length: 30 }, () => new AbortController())
    const calls = controllers.map(({ signal }) => layer.forward(x, { signal }))
    const reason = new Error('no longer')
    for (let i = 0; i < 30; i += 3) controllers[i].abort(reason)
    const outcomes = await Promise.allSettled(calls)
    for (const [i, outcome] of outcomes.entries()) {
      if (i % 3 === 0) expect(outcome).toEqual({ status: 'rejected', reason })
      else expect(outcome.status).toBe('fulfilled')
    }
  })
})

describe('concurrent calls of one Linear', () => {
  it('share programs', async () => {
    await using pool = await createPool(isas[0], { threads: 1 })
    const layer = await Linear.fromInt8(pool, weight, scale, shape)
    pool.resetStats()
    await Promise.all(Array.from({ length: 100 }, () => layer.forward(new Float32Array(130))))
    expect(pool.stats().workers[0].regions).toBeLessThan(10)
  })

  it('are refused beyond the limit, and served again below it', async () => {
    await using pool = await createPool(isas[0], { threads: 1 })
    const layer = await Linear.fromInt8(pool, weight, scale, shape)
    const x = new Float32Array(130)
    const calls = Array.from({ length: 5000 }, () => layer.forward(x))
    const outcomes = await Promise.allSettled(calls)
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused) expect(reason).toBeInstanceOf(QueueFullError)
    expect(outcomes.length - refused.length).toBeGreaterThanOrEqual(4096)
    await layer.forward(x)
  })

  it('are all rejected when the pool closes', async () => {
    const pool = await createPool(isas[0], { threads: 1 })
    const layer = await Linear.fromInt8(pool, weight, scale, shape)
    const calls = Array.from({ length: 50 }, () => layer.forward(new Float32Array(130)))
    const outcomes = Promise.allSettled(calls)
    await pool.close()
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(PoolClosedError)
    }
    await expect(layer.forward(new Float32Array(130))).rejects.toThrow(PoolClosedError)
  })
})
