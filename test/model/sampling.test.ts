import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sampling } from '#src/model/generation/sampler.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { collect, fixture, qwen3Prompts, trace } from './support.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, fixture)
})
afterAll(async () => await pool.close())

const prompt = qwen3Prompts()[0].promptIds

const idsOf = (sampling: Sampling, maxTokens = 24) =>
  collect(
    model.generateTokens(prompt, {
      maxTokens,
      ignoreEnd: true,
      sampling: { seed: 1, ...sampling },
    }),
  )

/** How many logits are above that of each sampled token, over a generation. */
async function ranks(sampling: Sampling): Promise<number[]> {
  const { ids, logits } = await trace(model, prompt, {
    sampling: { ...sampling, seed: 2 },
    maxTokens: 60,
  })
  return ids.map((id, i) => logits[i].filter((logit) => logit > logits[i][id]).length)
}

describe('sampling', () => {
  it('is greedy at temperature 0, whatever the other options', async () => {
    const greedy = await idsOf({})
    expect(await ranks({})).toEqual(new Array(60).fill(0))
    expect(await idsOf({ temperature: 0, topK: 7, topP: 0.5, minP: 0.1 })).toEqual(greedy)
    expect(await idsOf({ temperature: 3, topK: 1 })).toEqual(greedy)
    expect(await idsOf({ temperature: 3, minP: 1 })).toEqual(greedy)
    expect(await idsOf({ temperature: 3, topP: 1e-6 })).toEqual(greedy)
  })

  it('repeats itself for a seed, and differs for another and without one', async () => {
    const draw = (seed?: number) => idsOf({ temperature: 1, seed })
    const first = await draw(1)
    expect(await draw(1)).toEqual(first)
    expect(await draw(2)).not.toEqual(first)
    expect(await draw()).not.toEqual(await draw())
  })

  it('samples the same alone, in a batch, and with processors that change nothing', async () => {
    const sampling = { temperature: 1, topK: 50, topP: 0.95, minP: 0.01, repetitionPenalty: 1.2 }
    const alone = await idsOf(sampling)
    const others = [3, 4, 5].map((seed) => idsOf({ ...sampling, seed }))
    expect(await idsOf(sampling)).toEqual(alone)
    await Promise.all(others)
    expect(
      (await trace(model, prompt, { sampling: { ...sampling, seed: 1 }, maxTokens: 24 })).ids,
    ).toEqual(alone)
  })
})

describe('an option', () => {
  it('temperature flattens: worse tokens are sampled more often', async () => {
    const mean = async (temperature: number) => {
      const all = await ranks({ temperature })
      return all.reduce((a, b) => a + b) / all.length
    }
    const [cold, warm, hot] = [await mean(0.3), await mean(1), await mean(1000)]
    expect(cold).toBeLessThan(warm)
    expect(warm).toBeLessThan(hot)
    // nearly uniform over 2048 tokens
    expect(hot).toBeGreaterThan(700)
  })

  it('topK leaves only the best', async () => {
    const all = await ranks({ temperature: 1000, topK: 5 })
    expect(Math.max(...all)).toBe(4)
  })

  it('minP leaves only tokens that are likely relative to the best', async () => {
    const sampling = { temperature: 2, minP: 0.2 }
    const { ids, logits } = await trace(model, prompt, {
      sampling: { ...sampling, seed: 2 },
      maxTokens: 60,
    })
    const ratios = ids.map((id, i) => Math.exp((logits[i][id] - Math.max(...logits[i])) / 2))
    expect(Math.min(...ratios)).toBeGreaterThanOrEqual(0.2 - 1e-6)
    expect(Math.min(...ratios)).toBeLessThan(0.6)
  })

  it('topP leaves only the best tokens that reach this probability together', async () => {
    const { ids, logits } = await trace(model, prompt, {
      sampling: { temperature: 1, topP: 0.5, seed: 2 },
      maxTokens: 60,
    })
    const before = ids.map((id, i) => {
      const row = logits[i]
      const most = Math.max(...row)
      const weights = row.map((logit) => Math.exp(logit - most))
      const total = weights.reduce((a, b) => a + b)
      return weights.reduce((sum, w, n) => (row[n] > row[id] ? sum + w : sum), 0) / total
    })
    expect(Math.max(...before)).toBeLessThan(0.5)
    expect(Math.max(...before)).toBeGreaterThan(0.1)
  })

  it('repetitionPenalty makes repeated tokens less likely', async () => {
    const distinct = async (repetitionPenalty: number) =>
      new Set(await idsOf({ repetitionPenalty }, 60)).size
    expect(await distinct(1)).toBeLessThan(50)
    expect(await distinct(1e4)).toBe(60)
    const all = await idsOf({ repetitionPenalty: 1e4 }, 60)
    expect(all.some((id) => prompt.includes(id))).toBe(false)
  })
})
