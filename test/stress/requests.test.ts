import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WorkerDiedError } from '#src/errors.js'
import type { GenerateTokensOptions } from '#src/model/generation/generate.js'
import type { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { collect, fixture, loadFixture, readIds } from '../model/support.js'
import { needLibrary } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const text = [...readIds(join(fixture, 'val_ids.u16'))]
const REQUESTS = 150
const SEED = 20

/** What a consumer does with a request. */
type Consumer = 'reads' | 'leaves' | 'aborts' | 'dawdles'

interface Plan {
  prompt: number[]
  options: GenerateTokensOptions
  consumer: Consumer
  /** Tokens until the consumer leaves, aborts or pauses. */
  after: number
  /** Milliseconds before the request is made. */
  delay: number
}

function randomPlans(random: () => number): Plan[] {
  const below = (n: number) => Math.floor(random() * n)
  const consumers: Consumer[] = ['reads', 'reads', 'reads', 'leaves', 'aborts', 'dawdles']
  return Array.from({ length: REQUESTS }, () => {
    // few beginnings, so that many share prefixes
    const from = 100 * below(4)
    const prompt = [...text.slice(from, from + 1 + below(120)), below(2048)]
    const sampling = {
      temperature: below(2),
      seed: below(3),
      repetitionPenalty: below(4) === 0 ? 1.2 : 1,
    }
    const options = { maxTokens: 1 + below(70), ignoreEnd: true, sampling }
    const consumer = consumers[below(consumers.length)]
    return { prompt, options, consumer, after: below(40), delay: below(400) }
  })
}

/** The tokens that a consumer has got, and whether it read to the end. */
async function consume(model: Model, plan: Plan): Promise<{ tokens: number[]; isWhole: boolean }> {
  const controller = new AbortController()
  const { signal } = controller
  const tokens: number[] = []
  await setTimeout(plan.delay)
  try {
    for await (const token of model.generateTokens(plan.prompt, { ...plan.options, signal })) {
      tokens.push(token)
      if (tokens.length !== plan.after) continue
      if (plan.consumer === 'leaves') return { tokens, isWhole: false }
      if (plan.consumer === 'aborts') controller.abort()
      if (plan.consumer === 'dawdles') await setTimeout(100)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    return { tokens, isWhole: false }
  }
  return { tokens, isWhole: true }
}

describe('many requests at once', () => {
  it.each([
    ['ample memory', 60, false],
    ['little memory', 5, false],
    ['little memory, while workers die', 5, true],
  ])('get the tokens they would get alone, with %s', async (_, pages, dies) => {
    const plans = randomPlans(randomNumbers(SEED + pages + Number(dies)))
    using alone = await loadFixture(pool)
    const expected: number[][] = []
    for (const { prompt, options } of plans) {
      expected.push(await collect(alone.generateTokens(prompt, options)))
    }
    const kvBytes = pages * 64 * alone.cacheBytes
    using model = await loadFixture(pool, { maxContext: 256, kvBytes })
    const run = pool.run.bind(pool)
    let programs = 0
    pool.run = async (program, signal) => {
      const fault = await run(program, signal)
      if (dies && programs++ % 11 === 5) throw new WorkerDiedError('as if')
      return fault
    }
    try {
      const got = await Promise.all(plans.map((plan) => consume(model, plan)))
      for (const [i, { tokens, isWhole }] of got.entries()) {
        expect(tokens).toEqual(isWhole ? expected[i] : expected[i].slice(0, tokens.length))
      }
    } finally {
      pool.run = run
    }
    await setTimeout(50)
    expect(model.stats()).toMatchObject({ running: 0, waiting: 0 })
    if (pages < 10) expect(model.stats().preemptions).toBeGreaterThan(0)
    expect(model.stats().kvBytes).toBeLessThanOrEqual(kvBytes)
  })
})
