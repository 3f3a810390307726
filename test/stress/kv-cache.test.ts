import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { fixture, logitsOf, readIds, relativeError } from '../model/support.js'
import { needLibrary } from '../support/isas.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const text = readIds(join(fixture, 'val_ids.u16')).subarray(0, 4 * 512)

describe.each(['w8a8', 'none'] as const)('keys and values, with weights %s,', (quantize) => {
  it('is nearly as good in bfloat16 and in int8 as in float32', async () => {
    const nll: number[] = []
    const logits: Float32Array[] = []
    for (const kv of ['float32', 'bfloat16', 'int8'] as const) {
      using model = await Model.load(pool, fixture, { quantize, kv })
      nll.push(await model.nll(text, { window: 512 }))
      logits.push(await logitsOf(model, text.subarray(0, 200)))
    }
    expect(Math.abs(nll[1] / nll[0] - 1)).toBeLessThan(1e-3)
    expect(Math.abs(nll[2] / nll[1] - 1)).toBeLessThan(2e-3)
    // the three dtypes must differ
    expect(relativeError(logits[1], logits[0])).toBeGreaterThan(1e-5)
    expect(relativeError(logits[1], logits[0])).toBeLessThan(0.02)
    expect(relativeError(logits[2], logits[1])).toBeGreaterThan(1e-5)
    expect(relativeError(logits[2], logits[0])).toBeLessThan(0.03)
  })
})
