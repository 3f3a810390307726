import { ArgumentError, LinearGroup, type Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import { randomLinear } from './support/layers.js'
import { bf16Tensor, randomNumbers, randomRows } from './support/random.js'
import { expectSameBits } from './support/reference.js'

const groups = fc.record({
  rows: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })),
  inFeatures: fc.integer({ min: 1, max: 150 }),
  outs: fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 5 }),
  seed: fc.integer(),
})

describe.each(isas)('a LinearGroup on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 3 })
  })
  afterAll(async () => await pool.close())

  it('gives the bits of its Linears run one by one', async () => {
    await fc.assert(
      fc.asyncProperty(groups, async ({ rows, inFeatures, outs, seed }) => {
        const linears = await Promise.all(
          outs.map((outFeatures, i) => randomLinear(pool, inFeatures, outFeatures, seed + i)),
        )
        const group = new LinearGroup(linears)
        const x = randomRows(rows, inFeatures, randomNumbers(seed))
        const [results, sync] = [await group.forward(x), group.forwardSync(x)]
        const input = bf16Tensor(x, [rows, inFeatures])
        const bf16 = await group.forward(input)
        for (const [i, each] of linears.entries()) {
          const expected = await each.forward(x)
          expectSameBits(results[i], expected, `result ${i}:`)
          expectSameBits(sync[i], expected, `sync result ${i}:`)
          expect(bf16[i].dims).toEqual([rows, outs[i]])
          expectSameBits(bf16[i].data, (await each.forward(input)).data, `bfloat16 result ${i}:`)
        }
      }),
      { numRuns: isa === 'typescript' ? 8 : 25 },
    )
  })
})

describe('a LinearGroup', () => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isas[0], { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('takes as many Linears as a program has room for', async () => {
    const linears = await Promise.all(
      Array.from({ length: 15 }, (_, i) => randomLinear(pool, 20, 30, i)),
    )
    const x = randomRows(4, 20, randomNumbers(5))
    const results = await new LinearGroup(linears).forward(x)
    for (const [i, each] of linears.entries()) {
      expectSameBits(results[i], await each.forward(x), `result ${i}:`)
    }
    expect(() => new LinearGroup([...linears, linears[0]])).toThrow(
      new ArgumentError('linears', '1 to 15 Linears', 'Array'),
    )
  })

  it('refuses Linears of different inputs, and an empty list', async () => {
    const [a, b] = [await randomLinear(pool, 8, 5, 1), await randomLinear(pool, 9, 5, 2)]
    expect(() => new LinearGroup([a, b])).toThrow(
      new ArgumentError('linears[1]', 'inFeatures 8', '9'),
    )
    expect(() => new LinearGroup([])).toThrow(ArgumentError)
  })

  it('writes to `out`, one tensor for each result', async () => {
    const group = new LinearGroup([
      await randomLinear(pool, 8, 5, 1),
      await randomLinear(pool, 8, 70, 2),
    ])
    const x = randomRows(3, 8, randomNumbers(5))
    const out = [new Float32Array(15), new Float32Array(210)]
    const results = await group.forward(x, { out })
    expect(results[1]).toBe(out[1])
    expectSameBits(out[0], (await group.forward(x))[0])
    await expect(group.forward(x, { out: [out[0]] })).rejects.toThrow(
      new ArgumentError('out', 'an array of length 2', 'length 1'),
    )
    expect(`${group}`).toBe('LinearGroup(in_features=8, out_features=[5, 70], dtype=int8)')
  })
})
