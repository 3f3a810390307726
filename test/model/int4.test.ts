import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ModelLinear } from '#src/model/decoder/model-linear.js'
import { Model } from '#src/model/model.js'
import { Linear } from '#src/ops/linear.js'
import { Pool } from '#src/pool/pool.js'
import { decodeInt4 } from '#src/reference/int4.js'
import { randomInt4 } from '../support/int4.js'
import { needLibrary } from '../support/isas.js'
import { expectSameBits } from '../support/reference.js'
import { collect, fixture, logitsOf, temporaryFolder } from './support.js'

needLibrary()

/** Every third Linear stays as it is. */
const isReplaced = (i: number) => i % 3 !== 0

describe('a model of which Linears have weights of four bits', () => {
  let pool: Pool
  let four: Model
  let eight: Model
  beforeAll(async () => {
    // results do not depend on it, and to quantise starts as many threads as the pool has
    pool = await Pool.create({ threads: 1 })
    four = await Model.load(pool, fixture)
    eight = await Model.load(pool, fixture)
    const fours = new Map<string, ModelLinear>()
    const eights = new Map<string, ModelLinear>()
    for (const [i, [name, linear]] of [...four.linears].entries()) {
      if (!isReplaced(i)) continue
      const { inFeatures, outFeatures, outliers } = linear as Linear
      const options = { inFeatures, outFeatures, outliers }
      const weight = randomInt4(options, i)
      const w8 = decodeInt4(weight, options)
      fours.set(name, await Linear.fromInt4(pool, weight, 1e-3, options))
      eights.set(name, await Linear.fromInt8(pool, w8, 1e-3, options))
    }
    four.decoder.setLinears(fours)
    eight.decoder.setLinears(eights)
  })
  afterAll(async () => await pool.close())

  const ids = [5, 17, 300, 42, 7, 7, 1999]

  it('has the logits of the int8 model that they stand for, and samples its tokens', async () => {
    expect(String(four)).toMatch(/dtype=int8\/int4, outliers=/)
    expect(four.weightBytes).toBeLessThan(0.8 * eight.weightBytes)
    expectSameBits(await logitsOf(four, ids), await logitsOf(eight, ids))
    const options = { maxTokens: 12, ignoreEnd: true, sampling: { temperature: 0.8, seed: 3 } }
    const [a, b] = [four.generateTokens(ids, options), eight.generateTokens(ids, options)]
    expect(await collect(a)).toEqual(await collect(b))
  })

  it('is saved as that int8 model', async () => {
    await using folder = await temporaryFolder()
    await four.save(`${folder.path}/saved`)
    using loaded = await Model.load(pool, `${folder.path}/saved`)
    expectSameBits(await logitsOf(loaded, ids), await logitsOf(eight, ids))
  })
})
