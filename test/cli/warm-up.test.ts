import { expect, test } from 'vitest'
import { warmUp } from '#src/cli/warm-up.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { fixture } from '../model/support.js'

test('warming a model up tells the speed of its prompts, and leaves nothing behind', async () => {
  const pool = await Pool.create({ threads: 1 })
  using model = await Model.load(pool, fixture)
  const rate = await warmUp(model)
  expect(rate).toBeGreaterThan(1)
  expect(Number.isFinite(rate)).toBe(true)
  expect(model.stats()).toMatchObject({ running: 0, waiting: 0, queuedTokens: 0 })
  await pool.close()
})
