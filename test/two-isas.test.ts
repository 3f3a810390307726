import { Linear } from 'dotpool'
import { expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import { makeCase, optionsOf } from './support/random.js'
import { expectSameBits, linearReference } from './support/reference.js'

it('pools of different ISAs run side by side, each with its own kernels', async () => {
  const linear = makeCase({ rows: 9, inFeatures: 77, outFeatures: 130 }, true, 5)
  const { x, weight, scale } = linear
  const expected = linearReference(linear)
  const pools = await Promise.all(isas.map((isa) => createPool(isa, { threads: 2 })))
  try {
    const layers = await Promise.all(
      pools.map((pool) => Linear.fromInt8(pool, weight, scale, optionsOf(linear))),
    )
    expect(pools.map((pool) => pool.isa)).toEqual(isas)
    for (let i = 0; i < 20; i++) {
      const results = await Promise.all(layers.map((layer) => layer.forward(x)))
      for (const [at, result] of results.entries()) expectSameBits(result, expected, isas[at])
    }
  } finally {
    await Promise.all(pools.map((pool) => pool.close()))
  }
})
