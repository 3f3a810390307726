import { intMatmul, type Pool, Tensor } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import { randomInt8, randomNumbers } from './support/random.js'
import { expectSameBits } from './support/reference.js'

function multiply(a: Int8Array, b: Int8Array, m: number, k: number, n: number): Int32Array {
  const y = new Int32Array(m * n)
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let l = 0; l < k; l++) sum += a[i * k + l] * b[l * n + j]
      y[i * n + j] = sum
    }
  }
  return y
}

describe.each(isas)('intMatmul on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('is exact, -128 included', async () => {
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer(),
    )
    await fc.assert(
      fc.asyncProperty(sizes, async ([m, k, n, seed]) => {
        const random = randomNumbers(seed)
        const [a, b] = [randomInt8(m * k, random), randomInt8(k * n, random)]
        const y = await intMatmul(
          pool,
          new Tensor('int8', a, [m, k]),
          new Tensor('int8', b, [k, n]),
        )
        expect(y.type).toBe('int32')
        expect(y.dims).toEqual([m, n])
        expectSameBits(y.data, multiply(a, b, m, k, n))
      }),
      { numRuns: 30 },
    )
  })

  it('is exact at the largest K with every product at its extreme', async () => {
    const k = 131071
    const a = new Tensor('int8', new Int8Array(2 * k).fill(-128), [2, k])
    const b = pool.tensor('int8', [k, 1])
    b.data.fill(-128)
    expect([...(await intMatmul(pool, a, b)).data]).toEqual([2147467264, 2147467264])
  })

  it('of an empty matrix is empty', async () => {
    const none = new Tensor('int8', new Int8Array(0), [0, 3])
    const y = await intMatmul(pool, none, new Tensor('int8', new Int8Array(6), [3, 2]))
    expect(y.dims).toEqual([0, 2])
  })
})
