import { Model } from 'dotpool'
import { expect, it } from 'vitest'
import { createPool, isas, scripted, why } from '../support/isas.js'
import { fixture, qwen3Prompts } from './support.js'

it.skipIf(scripted)(`a model has the same bits without a native library${why}`, async () => {
  const [{ promptIds }] = qwen3Prompts()
  const results: unknown[] = []
  for (const isa of [isas[0], 'typescript']) {
    await using pool = await createPool(isa, { threads: 2 })
    using model = await Model.load(pool, fixture, { kv: 'bfloat16' })
    const ids: number[] = []
    const options = { maxTokens: 4, sampling: { temperature: 1, topP: 0.9, seed: 3 } }
    for await (const id of model.generateTokens(promptIds, options)) ids.push(id)
    const { data } = await model.logits(promptIds)
    results.push({ ids, logits: Buffer.from(data.buffer).toString('base64') })
  }
  expect(results[1]).toEqual(results[0])
})
