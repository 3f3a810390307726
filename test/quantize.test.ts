import type { Pool } from 'dotpool'
import { Linear, quantizeRows, quantizeWeight, Tensor } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import { bf16Tensor, randomNumbers, randomRows } from './support/random.js'
import {
  expectSameBits,
  linearReference,
  quantizeReference,
  quantizeWeightReference,
} from './support/reference.js'

const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 80 }),
    width: fc.integer({ min: 1, max: 80 }),
    seed: fc.integer(),
  })
  .map(({ rows, width, seed }) => ({
    rows,
    width,
    values: randomRows(rows, width, randomNumbers(seed)),
  }))

const rowOf = (values: Float32Array, row: number, width: number) =>
  values.subarray(row * width, (row + 1) * width)

describe('quantizeRows', () => {
  it('matches the definition', () => {
    fc.assert(
      fc.property(matrices, ({ rows, width, values }) => {
        const { q, scale } = quantizeRows(values, width)
        for (let m = 0; m < rows; m++) {
          const expected = quantizeReference(rowOf(values, m, width))
          expectSameBits(q.subarray(m * width, (m + 1) * width), Int8Array.from(expected.q))
          expect(scale[m]).toBe(expected.scale)
        }
      }),
    )
  })

  it('keeps as many elements exact as `outliers` says', () => {
    fc.assert(
      fc.property(
        matrices,
        fc.integer({ min: 1, max: 15 }),
        ({ rows, width, values }, outliers) => {
          const { q, scale } = quantizeRows(values, width, { outliers })
          for (let m = 0; m < rows; m++) {
            const expected = quantizeReference(rowOf(values, m, width), outliers)
            expectSameBits(q.subarray(m * width, (m + 1) * width) as Int16Array, expected.q)
            expect(scale[m]).toBe(expected.scale)
            expect(expected.q.filter((value) => Math.abs(value) > 127).length).toBeLessThanOrEqual(
              outliers,
            )
          }
        },
      ),
    )
  })

  it('sets the step of a row by its largest element that is not an outlier', () => {
    const { q, scale } = quantizeRows(new Float32Array([1, -500, 2, 127, 90]), 5, { outliers: 2 })
    expect([...q]).toEqual([1, -706, 3, 179, 127])
    expect([...scale]).toEqual([Math.fround(90 / 127)])
  })

  it('rounds ties to even', () => {
    const { q } = quantizeRows(new Float32Array([127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]))
    expect([...q]).toEqual([127, 0, 2, 2, 0, -2, -2])
  })

  it('gives zeros and the scale NaN for a row that is not finite', () => {
    const { q, scale } = quantizeRows(new Float32Array([1, NaN, 1, 1, -Infinity, 1]), 2)
    expect([...q]).toEqual([0, 0, 127, 127, 0, 0])
    expect([...scale]).toEqual([NaN, Math.fround(1 / 127), NaN])
  })

  it('takes the row width of a tensor from its last dimension', () => {
    const x = bf16Tensor(new Float32Array([1, 2, -4, 0.5]), [2, 1, 2])
    const { q, scale } = quantizeRows(x)
    expect([...q]).toEqual([64, 127, -127, 16])
    expect([...scale]).toEqual([Math.fround(2 / 127), Math.fround(4 / 127)])
  })
})

describe('quantizeWeight', () => {
  it('matches the definition', () => {
    fc.assert(
      fc.property(matrices, ({ rows, width, values }) => {
        const { weight, scale } = quantizeWeight(values, { inFeatures: width, outFeatures: rows })
        for (let n = 0; n < rows; n++) {
          const expected = quantizeWeightReference(rowOf(values, n, width))
          expectSameBits(weight.subarray(n * width, (n + 1) * width), expected.q)
          expect(scale[n]).toBe(expected.scale)
        }
      }),
    )
  })
})

describe.each(isas)('Linear.fromFloat on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('packs what quantizeWeight returns, from float32 and from bfloat16', async () => {
    await fc.assert(
      fc.asyncProperty(matrices, async ({ rows, width, values }) => {
        const shape = { inFeatures: width, outFeatures: rows }
        const half = bf16Tensor(values, [rows, width])
        // all finite, but rounding to bfloat16 may turn the largest into an infinity
        const finite = half.data.every((bits) => (bits & 0x7f80) !== 0x7f80)
        const sources = [values, new Tensor('float32', values, [rows, width]), half]
        for (const source of finite ? sources : sources.slice(0, 2)) {
          const { weight, scale } = quantizeWeight(source, shape)
          const expected = await Linear.fromInt8(pool, weight, scale, shape)
          const layer = await Linear.fromFloat(pool, source, shape)
          expectSameBits(layer.tiles, expected.tiles)
          expectSameBits(layer.scale, scale)
        }
      }),
      { numRuns: 25 },
    )
  })

  it('gives the bits of a Linear of the quantised weights', async () => {
    const random = randomNumbers(1)
    const [rows, inFeatures, outFeatures] = [5, 33, 130]
    const w = new Float32Array(outFeatures * inFeatures).map(() => random() - 0.5)
    const bias = new Float32Array(outFeatures).map(() => random())
    const x = randomRows(rows, inFeatures, random)
    const layer = await Linear.fromFloat(pool, w, { inFeatures, outFeatures, bias })
    const { weight, scale } = quantizeWeight(w, { inFeatures, outFeatures })
    expectSameBits(
      await layer.forward(x),
      linearReference({ rows, inFeatures, outFeatures, weight, scale, bias, outliers: 0, x }),
    )
  })

  it('packs a weight in many chunks and reports progress', async () => {
    const [inFeatures, outFeatures] = [4096, 900]
    const random = randomNumbers(2)
    const w = new Float32Array(inFeatures * outFeatures).map(() => random() - 0.5)
    const told: number[][] = []
    const layer = await Linear.fromFloat(pool, w, {
      inFeatures,
      outFeatures,
      onProgress: (done, total) => told.push([done, total]),
    })
    expect(told.length).toBeGreaterThan(2)
    expect(told.at(-1)).toEqual([900, 900])
    expect(told).toEqual(told.toSorted(([a], [b]) => a - b))
    const { weight, scale } = quantizeWeight(w, { inFeatures, outFeatures })
    expectSameBits(layer.scale, scale)
    const x = randomRows(2, inFeatures, random)
    const shape = { rows: 2, inFeatures, outFeatures }
    const quantized = { ...shape, weight, scale, bias: undefined, outliers: 0, x }
    expectSameBits(await layer.forward(x), linearReference(quantized))
  })
})
