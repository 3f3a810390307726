import { bf16ToFloat, Linear, Pool, Tensor } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import { bf16Tensor, type LinearCase, linearCases, makeCase, optionsOf } from './support/random.js'
import { expectSameBits, linearReference, linearReferenceBf16 } from './support/reference.js'

function linearOf(pool: Pool, linear: LinearCase): Promise<Linear> {
  return Linear.fromInt8(pool, linear.weight, linear.scale, optionsOf(linear))
}

describe.each(isas)('a Linear on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('runs the kernels that the pool was created with', () => {
    expect(pool.isa).toBe(isa)
  })

  it('matches the definition bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(linearCases, async (linear) => {
        const layer = await linearOf(pool, linear)
        expectSameBits(await layer.forward(linear.x), linearReference(linear))
        expectSameBits(layer.forwardSync(linear.x), linearReference(linear), 'sync:')
      }),
      { numRuns: isa === 'typescript' ? 20 : 60 },
    )
  })

  it('matches the definition bit for bit in bfloat16', async () => {
    await fc.assert(
      fc.asyncProperty(linearCases, async (linear) => {
        const { x, rows, inFeatures, outFeatures } = linear
        const layer = await linearOf(pool, linear)
        const input = bf16Tensor(x, [rows, inFeatures])
        const y = await layer.forward(input)
        expect(y.dims).toEqual([rows, outFeatures])
        expectSameBits(y.data, linearReferenceBf16(linear))
        expectSameBits(layer.forwardSync(input).data, linearReferenceBf16(linear), 'sync:')
      }),
      { numRuns: isa === 'typescript' ? 15 : 40 },
    )
  })

  it('takes views that are aligned to their elements only', async () => {
    const linear = makeCase({ rows: 3, inFeatures: 37, outFeatures: 70 }, true, 1)
    const layer = await linearOf(pool, linear)
    for (let offset = 0; offset < 16; offset++) {
      for (const Buffer of [ArrayBuffer, SharedArrayBuffer]) {
        const x = new Float32Array(new Buffer(4 * (offset + 111)), 4 * offset, 111)
        x.set(linear.x)
        const out = new Float32Array(new Buffer(4 * (offset + 210)), 4 * offset, 210)
        expectSameBits(await layer.forward(x), linearReference(linear))
        expectSameBits(await layer.forward(x, { out }), linearReference(linear))
      }
    }
  })

  it('gives a row the same bits alone and in a batch', async () => {
    const linear = makeCase({ rows: 33, inFeatures: 130, outFeatures: 150 }, true, 2)
    const layer = await linearOf(pool, linear)
    const batch = await layer.forward(linear.x)
    for (let m = 0; m < linear.rows; m++) {
      const row = await layer.forward(linear.x.slice(m * 130, (m + 1) * 130))
      expectSameBits(row, batch.subarray(m * 150, (m + 1) * 150), `row ${m}:`)
    }
  })

  it.each([Number.NaN, Infinity, -Infinity])(
    'turns a row that holds a %s into NaN, and only that row',
    async (value) => {
      const linear = makeCase({ rows: 20, inFeatures: 65, outFeatures: 70 }, true, 3)
      const layer = await linearOf(pool, linear)
      const clean = await layer.forward(linear.x)
      for (const rows of [1, 20]) {
        const x = linear.x.slice(0, rows * 65)
        const spoilt = rows === 1 ? 0 : 7
        x[spoilt * 65 + 64] = value
        const y = await layer.forward(x)
        const bf16 = await layer.forward(bf16Tensor(x, [rows, 65]))
        for (let m = 0; m < rows; m++) {
          const row = y.subarray(m * 70, (m + 1) * 70)
          if (m !== spoilt) expectSameBits(row, clean.subarray(m * 70, (m + 1) * 70))
          else {
            expect(row.every(Number.isNaN)).toBe(true)
            const halves = [...bf16.data.subarray(m * 70, (m + 1) * 70)]
            expect(halves.every((half) => Number.isNaN(bf16ToFloat(half)))).toBe(true)
          }
        }
      }
    },
  )

  it('turns a row of zeros into the bias, or into zeros', async () => {
    const linear = makeCase({ rows: 2, inFeatures: 20, outFeatures: 30 }, true, 4)
    const { weight, scale, bias, inFeatures, outFeatures } = linear
    const zeros = new Float32Array(40)
    const withBias = await linearOf(pool, linear)
    const y = await withBias.forward(zeros)
    expect([...y]).toEqual([...(bias as Float32Array), ...(bias as Float32Array)])
    const without = await Linear.fromInt8(pool, weight, scale, { inFeatures, outFeatures })
    expect((await without.forward(zeros)).every((value) => value === 0)).toBe(true)
  })

  it('broadcasts a scalar scale to all channels', async () => {
    const linear = makeCase({ rows: 2, inFeatures: 20, outFeatures: 66 }, false, 5)
    linear.scale.fill(0.25)
    const { weight, scale } = linear
    const layer = await Linear.fromInt8(pool, weight, 0.25, optionsOf(linear))
    expect(layer.scale).toEqual(scale)
    expectSameBits(await layer.forward(linear.x), linearReference(linear))
  })

  it('sums exactly at the largest K with every product at its extreme', async () => {
    const inFeatures = 131072
    const weight = new Int8Array(inFeatures).fill(-128)
    const layer = await Linear.fromInt8(pool, weight, 1, { inFeatures, outFeatures: 1 })
    const x = new Float32Array(inFeatures).fill(127)
    expect([...(await layer.forward(x))]).toEqual([-131072 * 127 * 128])
  })

  it('exposes its tiles in the layout 64c4, padded with zeros', async () => {
    const linear = makeCase({ rows: 1, inFeatures: 10, outFeatures: 70 }, false, 6)
    const { tiles } = await linearOf(pool, linear)
    const expected = new Int8Array(2 * 3 * 64 * 4)
    for (let n = 0; n < 70; n++) {
      for (let k = 0; k < 10; k++) {
        const [block, quad] = [Math.floor(n / 64), Math.floor(k / 4)]
        expected[((block * 3 + quad) * 64 + (n % 64)) * 4 + (k % 4)] = linear.weight[n * 10 + k]
      }
    }
    expectSameBits(tiles, expected)
  })
})

describe('the bits of a Linear', () => {
  it('are the same at every number of threads', async () => {
    const linear = makeCase({ rows: 40, inFeatures: 200, outFeatures: 333 }, true, 7)
    const expected = linearReference(linear)
    const row = linear.x.subarray(0, 200)
    for (const threads of [1, 2, 3, 8]) {
      await using pool = await Pool.create({ threads })
      const layer = await linearOf(pool, linear)
      for (let i = 0; i < 5; i++) {
        expectSameBits(await layer.forward(linear.x), expected, `${threads} threads:`)
        expectSameBits(await layer.forward(row), expected.subarray(0, 333), `${threads} threads:`)
        expectSameBits(layer.forwardSync(linear.x), expected, `${threads} threads, sync:`)
      }
    }
  })

  it('are the same for weights in shared memory and for inputs of any shape', async () => {
    const linear = makeCase({ rows: 6, inFeatures: 9, outFeatures: 65 }, true, 8)
    await using pool = await Pool.create({ threads: 2 })
    const shared = pool.tensor('int8', [65, 9])
    shared.data.set(linear.weight)
    const layer = await Linear.fromInt8(pool, shared.data, linear.scale, optionsOf(linear))
    for (const dims of [
      [6, 9],
      [2, 3, 9],
      [1, 6, 1, 9],
    ]) {
      const y = await layer.forward(new Tensor('float32', linear.x, dims))
      expect(y.dims).toEqual([...dims.slice(0, -1), 65])
      expectSameBits(y.data, linearReference(linear))
    }
  })
})
