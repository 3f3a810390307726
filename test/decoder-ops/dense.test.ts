import { ArgumentError, type Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OpKind } from '#src/native/layout.js'
import { type DenseType, DenseWeight } from '#src/ops/dense-weight.js'
import { denseShare } from '#src/reference/dense.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'
import { anyRows, runOp, share, toBf16, whole } from './support.js'

const shapes = fc.record({
  m: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 })),
  n: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 100 })),
  k: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 200 })),
  type: fc.constantFrom<DenseType[]>('float32', 'bfloat16'),
  biased: fc.boolean(),
  seed: fc.integer(),
})

function run(pool: Pool, x: Float32Array, weight: DenseWeight, y: Float32Array): Promise<number> {
  return runOp(pool, { kind: OpKind.dense, m: y.length / weight.outFeatures, x, weight, y })
}

describe.each(isas)('a dense Linear on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 3 })
  })
  afterAll(async () => await pool.close())

  it('matches the reference bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ m, n, k, type, biased, seed }) => {
        const random = randomNumbers(seed)
        const floats = anyRows(n, k, random)
        const bias = biased ? anyRows(1, n, random) : undefined
        const weight = new DenseWeight(pool, type, n, k, bias)
        weight.set(0, type === 'float32' ? floats : toBf16(floats))
        const x = share(pool, anyRows(m, k, random))
        const y = pool.memory.array('float32', m * n)
        await run(pool, x, weight, y)
        const expected = new Float32Array(m * n)
        const shape = { inFeatures: k, outFeatures: n }
        denseShare({ x, weight: weight.data, bias, y: expected, ...shape, ...whole })
        expectSameBits(y, expected)
      }),
      { numRuns: isa === 'typescript' ? 10 : 60 },
    )
  })

  it('gives a row the same bits alone and among others', async () => {
    const [m, n, k] = [9, 50, 77]
    const random = randomNumbers(7)
    const weight = new DenseWeight(pool, 'bfloat16', n, k)
    weight.set(0, toBf16(anyRows(n, k, random)))
    const x = share(pool, anyRows(m, k, random))
    const together = pool.memory.array('float32', m * n)
    await run(pool, x, weight, together)
    for (let i = 0; i < m; i++) {
      const alone = pool.memory.array('float32', n)
      await run(pool, x.subarray(i * k, (i + 1) * k), weight, alone)
      expectSameBits(alone, together.slice(i * n, (i + 1) * n), `row ${i}`)
    }
  })
})

describe('float weights', () => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isas[0], { threads: 1 })
  })
  afterAll(async () => await pool.close())

  it('can be filled a few rows at a time', async () => {
    const [n, k] = [5, 3]
    const values = new Float32Array(n * k).map((_, i) => i + 1)
    const weight = new DenseWeight(pool, 'float32', n, k)
    weight.set(2, values.subarray(2 * k))
    weight.set(0, values.subarray(0, 2 * k))
    const x = share(pool, Float32Array.of(1, 0, 0, 0, 0, 1))
    const y = pool.memory.array('float32', 2 * n)
    await run(pool, x, weight, y)
    expect([...y]).toEqual([1, 4, 7, 10, 13, 3, 6, 9, 12, 15])
  })

  it('refuse a wrong dtype, range or length', () => {
    const weight = new DenseWeight(pool, 'float32', 5, 3)
    expect(() => weight.set(0, new Float32Array(4))).toThrow(
      new ArgumentError('values', 'whole rows of 3 elements, at most 5', 'Float32Array(4)'),
    )
    expect(() => weight.set(4, new Float32Array(6))).toThrow(
      new ArgumentError('values', 'whole rows of 3 elements, at most 1', 'Float32Array(6)'),
    )
    expect(() => weight.set(5, new Float32Array(3))).toThrow(
      new ArgumentError('firstRow', 'an integer in [0, 4]', '5'),
    )
    expect(() => weight.set(0, new Uint16Array(3) as never)).toThrow(
      new ArgumentError('values', 'Float32Array for float32', 'Uint16Array(3)'),
    )
    expect(() => new DenseWeight(pool, 'int8' as 'float32', 1, 1)).toThrow(
      new ArgumentError('type', "'float32' or 'bfloat16'", '"int8"'),
    )
    expect(() => new DenseWeight(pool, 'float32', 2, 1, new Float32Array(3))).toThrow(
      new ArgumentError('bias', '2 elements', 'Float32Array(3)'),
    )
  })
})
