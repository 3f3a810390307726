import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { collect, fixture, loadShallow, qwen3Prompts, readIds } from './support.js'

needLibrary()

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
// a fresh model for every test, whose prefix cache is empty
beforeEach(async () => {
  model?.dispose()
  model = await loadShallow(pool)
})
afterAll(async () => await pool.close())

const text = [...readIds(join(fixture, 'val_ids.u16'))]
const ids = (prompt: number[], maxTokens: number) =>
  collect(model.generateTokens(prompt, { maxTokens, ignoreEnd: true }))

describe('concurrent requests', () => {
  it('share their steps', async () => {
    const prompts = Array.from({ length: 8 }, (_, i) => text.slice(50 * i, 50 * i + 3 + i))
    const alone: number[][] = []
    for (const prompt of prompts) alone.push(await ids(prompt, 30))
    const before = model.stats()
    expect(before.steps).toBe(8 * 30)
    using fresh = await loadShallow(pool)
    const together = await Promise.all(
      prompts.map((prompt) =>
        collect(fresh.generateTokens(prompt, { maxTokens: 30, ignoreEnd: true })),
      ),
    )
    expect(together).toEqual(alone)
    const after = fresh.stats()
    expect(after.tokens).toBe(before.tokens)
    // the first step prefills the first prompt alone
    expect(after.steps).toBeLessThanOrEqual(33)
  })

  it('can start and end at any time', async () => {
    const prompts = qwen3Prompts().map(({ promptIds }) => promptIds)
    const alone = await Promise.all(prompts.map((prompt, i) => ids(prompt, 10 + 15 * i)))
    const late = async (prompt: number[], i: number) => {
      await new Promise((resolve) => setTimeout(resolve, 5 * i))
      return await ids(prompt, 10 + 15 * i)
    }
    expect(await Promise.all(prompts.map(late))).toEqual(alone)
  })

  it('keep decoding during the prefill of a long prompt', async () => {
    // the other request gets a token in every step, also in those that prefill the prompt
    let long: Promise<number[]> | undefined
    let idsMeanwhile = 0
    let ended = false
    for await (const _ of model.generateTokens(text.slice(0, 4), {
      maxTokens: 40,
      ignoreEnd: true,
    })) {
      long ??= ids(text.slice(100, 1000), 1).finally(() => {
        ended = true
      })
      if (!ended) idsMeanwhile++
    }
    await long
    expect(idsMeanwhile).toBeGreaterThanOrEqual(900 / 128 - 1)
  })

  it('can be more than a step has rows', async () => {
    using tiny = await loadShallow(pool, { maxContext: 8 })
    const prompts = Array.from({ length: 600 }, (_, i) => [5 + i])
    const write = (prompt: number[]) =>
      collect(tiny.generateTokens(prompt, { maxTokens: 3, ignoreEnd: true }))
    const all = await Promise.all(prompts.map(write))
    expect(tiny.stats().tokens).toBe(600 * 3)
    expect(tiny.stats().steps).toBeLessThan(12)
    for (const i of [0, 311, 599]) expect(await write(prompts[i])).toEqual(all[i])
  })

  it('share steps with logits and NLL', async () => {
    const prompt = text.slice(0, 20)
    const alone = [
      await ids(prompt, 20),
      await model.nll(text.slice(0, 512)),
      await model.logits(prompt),
    ]
    const together = [ids(prompt, 20), model.nll(text.slice(0, 512)), model.logits(prompt)]
    expect(await Promise.all(together)).toEqual(alone)
  })
})

describe('stats', () => {
  it('count steps, tokens and time', async () => {
    expect(model.stats()).toMatchObject({
      ...{ steps: 0, tokens: 0, sampledTokens: 0, micros: 0 },
      ...{ running: 0, waiting: 0, preemptions: 0, kvBytes: 0 },
    })
    await ids(text.slice(0, 10), 5)
    const { steps, tokens: count, sampledTokens, micros } = model.stats()
    // a prompt of 10, and 4 generated tokens; the fifth is never fed back
    expect([steps, count, sampledTokens]).toEqual([5, 14, 5])
    expect(micros).toBeGreaterThan(0)
    await model.logits(text.slice(0, 7))
    expect(model.stats()).toMatchObject({ steps: 6, tokens: 21 })
  })

  it('count a token of a request when it is sampled, not at the end', async () => {
    const options = { maxTokens: 200, ignoreEnd: true }
    const tokens = model.generateTokens(text.slice(0, 10), options)[Symbol.asyncIterator]()
    await tokens.next()
    const { running, sampledTokens } = model.stats()
    expect(running).toBe(1)
    expect(sampledTokens).toBeGreaterThan(0)
    await tokens.return?.()
    expect(model.stats().running).toBe(0)
    expect(model.stats().sampledTokens).toBeGreaterThanOrEqual(sampledTokens)
  })

  it('a step takes 512 prompt tokens, or 128 while other requests decode', async () => {
    await model.logits(text.slice(0, 1000))
    expect(model.stats().steps).toBe(2)
  })
})
