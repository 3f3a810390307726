import { setTimeout } from 'node:timers/promises'
import { type GenerateTokensOptions, Model, Pool, WorkerDiedError } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { needLibrary } from '../support/isas.js'
import { shallowFixture } from '../support/shallow-fixture.js'

needLibrary()

/*
 * While a step runs, a speculative one is queued behind it for the token that the first is about to sample. Only the
 * time may differ.
 */

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, shallowFixture())
})
afterAll(async () => {
  model.dispose()
  await pool.close()
})

const prompt = [5, 17, 300, 42]

/** Generates tokens; the consumer waits `pause` milliseconds after each. */
async function generate(options: GenerateTokensOptions, pause = 0): Promise<number[]> {
  const ids: number[] = []
  for await (const id of model.generateTokens(prompt, { ignoreEnd: true, ...options })) {
    ids.push(id)
    if (pause > 0) await setTimeout(pause)
  }
  return ids
}

/** A processor that changes nothing, but needs the logits, so that no step runs ahead. */
const looking: GenerateTokensOptions = { processors: [() => {}] }

describe('steps that run ahead', () => {
  const sampling = { temperature: 1, topP: 0.9 }

  it('sample what single steps sample', async () => {
    for (const seed of [1, 2, 3]) {
      const options = { maxTokens: 70, sampling: { ...sampling, seed } }
      expect(await generate(options)).toEqual(await generate({ ...options, ...looking }))
    }
  })

  it('wait for a consumer that is slower than they are', async () => {
    const options = { maxTokens: 8, sampling: { ...sampling, seed: 4 } }
    const expected = await generate({ ...options, ...looking })
    const before = model.stats().steps
    expect(await generate(options, 15)).toEqual(expected)
    // one for every token: a token sampled ahead is kept until the consumer requests it
    expect(model.stats().steps - before).toBe(8)
  })

  it('compute at most one token too many at the end of a request', async () => {
    const ids = model.generateTokens(prompt, { maxTokens: 500, ignoreEnd: true })
    const before = model.stats().steps
    for (let i = 0; i < 5; i++) await ids.next()
    await ids.return()
    await setTimeout(20)
    expect(model.stats().steps - before).toBeLessThanOrEqual(6)
  })

  it('serve requests that start and end at any time', async () => {
    const options = (seed: number) => ({ maxTokens: 5 + 9 * seed, sampling: { ...sampling, seed } })
    const seeds = [0, 1, 2, 3, 4]
    const alone: number[][] = []
    for (const seed of seeds) alone.push(await generate(options(seed)))
    const together = await Promise.all(
      seeds.map(async (seed) => {
        await setTimeout(3 * seed)
        return await generate(options(seed), seed % 2)
      }),
    )
    expect(together).toEqual(alone)
  })

  it('are repeated after a worker dies, with the same samples', async () => {
    const options = { maxTokens: 60, sampling: { ...sampling, seed: 6 } }
    const expected = await generate(options)
    const run = pool.run.bind(pool)
    let calls = 0
    pool.run = async (program, signal) => {
      const fault = await run(program, signal)
      if (calls++ % 7 === 3) throw new WorkerDiedError('as if')
      return fault
    }
    try {
      expect(await generate(options)).toEqual(expected)
      expect(calls).toBeGreaterThan(60)
    } finally {
      pool.run = run
    }
  })

  it('end with the aborted request', async () => {
    const controller = new AbortController()
    const ids = model.generateTokens(prompt, { signal: controller.signal, ignoreEnd: true })
    for (let i = 0; i < 3; i++) await ids.next()
    controller.abort(new Error('enough'))
    await expect(ids.next()).rejects.toThrow('enough')
    const { steps } = model.stats()
    expect(await generate({ maxTokens: 5 })).toEqual(await generate({ maxTokens: 5, ...looking }))
    expect(model.stats().steps - steps).toBeLessThanOrEqual(13)
  })
})
