import {
  type Activation,
  ArgumentError,
  applyGate,
  FusedMlp,
  type Linear,
  type Pool,
  Tensor,
} from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import { randomLinear } from './support/layers.js'
import { bf16Tensor, randomNumbers, randomRows } from './support/random.js'
import { expectSameBits } from './support/reference.js'

const activations: Activation[] = ['silu', 'gelu', 'relu2']

const mlpCases = fc.record({
  rows: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })),
  inFeatures: fc.integer({ min: 1, max: 150 }),
  hidden: fc.integer({ min: 1, max: 200 }),
  outFeatures: fc.integer({ min: 1, max: 150 }),
  activation: fc.constantFrom(...activations),
  seed: fc.integer(),
})

async function mlpOf(pool: Pool, sizes: [number, number, number], seed: number) {
  const [inFeatures, hidden, outFeatures] = sizes
  const gate = await randomLinear(pool, inFeatures, hidden, seed)
  const up = await randomLinear(pool, inFeatures, hidden, seed + 1)
  const down = await randomLinear(pool, hidden, outFeatures, seed + 2)
  return { gate, up, down }
}

describe.each(isas)('a FusedMlp on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 3 })
  })
  afterAll(async () => await pool.close())

  it('gives the bits of its Linears run one after the other', async () => {
    await fc.assert(
      fc.asyncProperty(mlpCases, async (sizes) => {
        const { rows, inFeatures, hidden, outFeatures, activation, seed } = sizes
        const { gate, up, down } = await mlpOf(pool, [inFeatures, hidden, outFeatures], seed)
        const mlp = new FusedMlp(gate, up, down, { activation })
        const x = randomRows(rows, inFeatures, randomNumbers(seed))
        const h = applyGate(activation, await gate.forward(x), await up.forward(x))
        const expected = await down.forward(h)
        expectSameBits(await mlp.forward(x), expected)
        expectSameBits(mlp.forwardSync(x), expected, 'sync:')
      }),
      { numRuns: isa === 'typescript' ? 10 : 40 },
    )
  })

  it('gives those bits in bfloat16 too', async () => {
    await fc.assert(
      fc.asyncProperty(mlpCases, async (sizes) => {
        const { rows, inFeatures, hidden, outFeatures, activation, seed } = sizes
        const { gate, up, down } = await mlpOf(pool, [inFeatures, hidden, outFeatures], seed)
        const mlp = new FusedMlp(gate, up, down, { activation })
        const x = bf16Tensor(randomRows(rows, inFeatures, randomNumbers(seed)), [rows, inFeatures])
        const [g, u] = [await gate.forward(x), await up.forward(x)]
        const h = new Tensor('bfloat16', applyGate(activation, g.data, u.data), g.dims)
        const y = await mlp.forward(x)
        expect(y.dims).toEqual([rows, outFeatures])
        expectSameBits(y.data, (await down.forward(h)).data)
      }),
      { numRuns: isa === 'typescript' ? 10 : 30 },
    )
  })

  it('turns rows that are not finite into NaN, and leaves the others alone', async () => {
    const { gate, up, down } = await mlpOf(pool, [40, 70, 50], 4)
    const mlp = new FusedMlp(gate, up, down)
    const x = randomRows(5, 40, randomNumbers(9)).map((value) => Math.min(9, Math.max(-9, value)))
    const before = await mlp.forward(x)
    x[2 * 40 + 7] = Number.NaN
    x[4 * 40 + 39] = Number.NEGATIVE_INFINITY
    const after = await mlp.forward(x)
    for (const m of [2, 4]) {
      expect(after.subarray(m * 50, (m + 1) * 50).every(Number.isNaN)).toBe(true)
    }
    for (const m of [0, 1, 3]) {
      const row = [m * 50, (m + 1) * 50] as const
      expectSameBits(after.subarray(...row), before.subarray(...row), `row ${m}:`)
    }
  })
})

describe('a FusedMlp', () => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isas[0], { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('stays near to the exact activation functions', () => {
    const g = new Float32Array(2001).map((_, i) => (i - 1000) / 50)
    const ones = g.map(() => 1)
    const silu = (x: number) => x / (1 + Math.exp(-x))
    const gelu = (x: number) =>
      (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    const relu2 = (x: number) => Math.max(x, 0) ** 2
    for (const [name, exact] of Object.entries({ silu, gelu, relu2 })) {
      const y = applyGate(name as Activation, g, ones)
      const worst = y.reduce((most, value, i) => {
        const error = Math.abs(value - exact(g[i])) / (Math.abs(exact(g[i])) + 1e-6)
        return Math.max(most, error)
      }, 0)
      expect(worst, name).toBeLessThan(1e-5)
    }
  })

  it('writes to `out`', async () => {
    const { gate, up, down } = await mlpOf(pool, [8, 12, 5], 6)
    const mlp = new FusedMlp(gate, up, down)
    const x = pool.tensor('float32', [3, 8])
    x.data.set(randomRows(3, 8, randomNumbers(1)))
    const out = pool.tensor('float32', [3, 5])
    expect(await mlp.forward(x, { out })).toBe(out)
    expectSameBits(out.data, (await mlp.forward(x)).data)
  })

  it('refuses Linears that do not fit together, and unknown activations', async () => {
    const { gate, up, down } = await mlpOf(pool, [8, 12, 5], 8)
    const wide = await randomLinear(pool, 8, 13, 1)
    await using other = await createPool(isas[0], { threads: 1 })
    const stranger = await randomLinear(other, 8, 12, 2)
    expect(() => new FusedMlp(gate, wide, down)).toThrow(
      new ArgumentError('up', 'outFeatures 12', '13'),
    )
    expect(() => new FusedMlp(gate, up, gate)).toThrow(
      new ArgumentError('down', 'inFeatures 12', '8'),
    )
    expect(() => new FusedMlp(gate, stranger, down)).toThrow(/up: expected a Linear of the pool/)
    expect(() => new FusedMlp(gate, up, 3 as unknown as Linear)).toThrow(/down: expected a Linear/)
    const activation = 'tanh' as Activation
    expect(() => new FusedMlp(gate, up, down, { activation })).toThrow(
      new ArgumentError('activation', 'one of silu, gelu, relu2', '"tanh"'),
    )
  })

  it('refuses what its Linears refuse, and describes itself', async () => {
    const { gate, up, down } = await mlpOf(pool, [8, 12, 5], 8)
    const mlp = new FusedMlp(gate, up, down)
    await expect(mlp.forward(new Float32Array(9))).rejects.toThrow(ArgumentError)
    expect(`${mlp}`).toBe('FusedMlp([8, 12, 5], activation=silu, dtype=int8)')
    up.dispose()
    await expect(mlp.forward(new Float32Array(8))).rejects.toThrow(/disposed/)
  })
})
