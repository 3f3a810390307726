import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { fixture, readIds, readJson } from '../model/support.js'
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
