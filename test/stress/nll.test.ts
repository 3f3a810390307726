import { join } from 'node:path'
import { expect, it } from 'vitest'
import { compareModels } from '#src/model/evaluation/compare.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { fixture, loadFixture, readIds, readJson } from '../model/support.js'
import { needLibrary } from '../support/isas.js'

needLibrary()

it.each([
  ['with a float head', ['lm_head']],
  ['as loaded by default', undefined],
])(
  'the W8A8 fixture %s matches the NLL of the references over their whole text',
  async (_, skip) => {
    await using pool = await Pool.create({ threads: 2 })
    using model = await Model.load(pool, fixture, { skip })
    const { nll_w8a8, nll_fp32 } = readJson(join(fixture, 'golden.json')).val
    const nll = await model.nll(readIds(join(fixture, 'val_ids.u16')))
    expect(Math.abs(nll / nll_w8a8 - 1)).toBeLessThan(1e-3)
    expect(Math.abs(nll / nll_fp32 - 1)).toBeLessThan(2e-3)
  },
)

it('four bits predict nearly what float does, from int8 weights too', async () => {
  await using pool = await Pool.create({ threads: 2 })
  using model = await loadFixture(pool, { quantize: 'w4a8' })
  using float = await loadFixture(pool, { quantize: 'none' })
  const text = readIds(join(fixture, 'val_ids.u16')).subarray(0, 200)
  const { kl, sameBest } = await compareModels(model, float, text)
  expect(kl.mean).toBeLessThan(0.05)
  expect(sameBest).toBeGreaterThan(0.85)
})
