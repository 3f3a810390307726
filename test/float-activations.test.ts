import { ArgumentError, Linear, type Pool, type Precision } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { floatShare } from '#src/reference/linear.js'
import { createPool, isas } from './support/isas.js'
import { bf16Tensor, linearCases, makeCase, randomNumbers } from './support/random.js'
import { expectSameBits } from './support/reference.js'

const precision = 'float32'

describe.each(isas)('a Linear with float activations on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 3 })
  })
  afterAll(async () => await pool.close())

  it('matches the reference bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(linearCases, async ({ x, rows, weight, scale, ...options }) => {
        const { inFeatures, outFeatures, bias } = options
        const layer = await Linear.fromInt8(pool, weight, scale, options)
        const { tiles } = layer
        const packed = { type: 'int8', tiles, scale, bias, inFeatures, outFeatures } as const
        const whole = { weight: packed, part: 0, parts: 1 }
        const expected = new Float32Array(rows * outFeatures)
        floatShare({ ...whole, x, y: expected })
        expectSameBits(await layer.forward(x, { precision }), expected)
        expectSameBits(layer.forwardSync(x, { precision }), expected, 'sync:')

        const input = bf16Tensor(x, [rows, inFeatures])
        const bits = new Uint16Array(rows * outFeatures)
        floatShare({ ...whole, x: input.data, y: bits })
        expectSameBits((await layer.forward(input, { precision })).data, bits, 'bfloat16:')
      }),
      { numRuns: isa === 'typescript' ? 10 : 40 },
    )
  })

  it('is as near to the exact product as float32 allows', async () => {
    const shape = { inFeatures: 1000, outFeatures: 70 }
    const { weight, scale } = makeCase({ rows: 1, ...shape }, false, 3)
    const random = randomNumbers(4)
    const x = new Float32Array(2 * 1000).map(() => random() - 0.5)
    const layer = await Linear.fromInt8(pool, weight, scale, shape)
    const y = await layer.forward(x, { precision })
    for (let m = 0; m < 2; m++) {
      for (let n = 0; n < 70; n++) {
        let [exact, magnitude] = [0, 0]
        for (let k = 0; k < 1000; k++) {
          const product = x[m * 1000 + k] * weight[n * 1000 + k] * scale[n]
          exact += product
          magnitude += Math.abs(product)
        }
        expect(Math.abs(y[m * 70 + n] - exact)).toBeLessThanOrEqual(magnitude * 1e-6)
      }
    }
  })
})

it('refuses an unknown precision', async () => {
  await using pool = await createPool(isas[0], { threads: 1 })
  const layer = await Linear.fromInt8(pool, new Int8Array(4), 1, { inFeatures: 4, outFeatures: 1 })
  const call = layer.forward(new Float32Array(4), { precision: 'float64' as Precision })
  await expect(call).rejects.toThrow(
    new ArgumentError('precision', "'int8' or 'float32'", '"float64"'),
  )
})
