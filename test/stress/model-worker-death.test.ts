import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { expectSameLogits, fixture, readIds, trace } from '../model/support.js'
import { scripted, why } from '../support/isas.js'
import { afterPrograms, killThread, threadCount, until } from '../support/threads.js'

const text = [...readIds(join(fixture, 'val_ids.u16'))]

it.skipIf(scripted).each([1, 2, 3])(
  `requests survive the death of a worker, of %i${why}`,
  async (threads) => {
    await using pool = await Pool.create({ threads })
    using model = await Model.load(pool, fixture)
    const prompts = [0, 1, 2, 3].map((i) => text.slice(100 * i, 100 * i + 3 + 60 * i))
    let done = false
    const traces = Promise.all(prompts.map((prompt) => trace(model, prompt, { maxTokens: 150 })))
    const settled = traces.finally(() => {
      done = true
    })
    let killed = 0
    // fewer deaths than a step may see
    for (; !done && killed < 2; killed++) {
      const ten = new Promise<void>((resolve) => afterPrograms(pool, 10, resolve))
      await Promise.race([ten, settled])
      await killThread()
      await until(() => threadCount() === threads)
    }
    for (const [i, traced] of (await settled).entries()) {
      expect(traced.ids.length).toBe(150)
      await expectSameLogits(model, prompts[i], traced)
    }
    expect(killed).toBeGreaterThan(0)
  },
)
