import { getEventListeners } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { shallowFixture } from '../support/shallow-fixture.js'
import { afterPrograms, errorOf } from '../support/threads.js'
import { collect, expectSameLogits, fixture, readIds, trace } from './support.js'

needLibrary()

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
// a fresh model for every test, whose prefix cache is empty
beforeEach(async () => {
  model?.dispose()
  model = await Model.load(pool, shallowFixture())
})
afterAll(async () => await pool.close())

const text = [...readIds(join(fixture, 'val_ids.u16')).subarray(0, 1000)]
const prompt = text.slice(0, 20)
const reason = new Error('enough')

/** Expects that the model still works, and that no listener is left on the signal. */
async function expectUnharmed(signal: AbortSignal): Promise<void> {
  await expectSameLogits(model, prompt, await trace(model, prompt, { maxTokens: 10 }))
  expect(getEventListeners(signal, 'abort')).toEqual([])
}

describe('an AbortSignal', () => {
  it('that is already aborted rejects with its reason before any work runs', async () => {
    const signal = AbortSignal.abort(reason)
    await expect(collect(model.generate('O', { signal }))).rejects.toBe(reason)
    await expect(collect(model.generateTokens([5], { signal }))).rejects.toBe(reason)
    await expect(model.logits([5], { signal })).rejects.toBe(reason)
    await expect(model.nll([5, 6], { signal })).rejects.toBe(reason)
    expect(model.stats().steps).toBe(0)
    await expectUnharmed(signal)
  })

  it('ends the prefill of a long prompt at once', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const call = errorOf(collect(model.generateTokens(text, { signal })))
    afterPrograms(pool, 1, () => controller.abort(reason))
    expect(await call).toBe(reason)
    expect(model.stats().tokens).toBeLessThan(1000)
    await expectUnharmed(signal)
  })

  it('ends a request between two tokens or within a step', async () => {
    for (const steps of [1, 2, 3, 20, 21]) {
      const controller = new AbortController()
      const { signal } = controller
      const call = errorOf(
        collect(model.generateTokens(prompt, { signal, maxTokens: 900, ignoreEnd: true })),
      )
      afterPrograms(pool, steps, () => controller.abort(reason))
      expect(await call).toBe(reason)
      await expectUnharmed(signal)
    }
  })

  it('that the consumer aborts ends the request before the next token', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const given: string[] = []
    const run = async () => {
      for await (const piece of model.generate('O', { signal })) {
        given.push(piece)
        if (given.length === 3) controller.abort(reason)
      }
    }
    await expect(run()).rejects.toBe(reason)
    expect(given.length).toBe(3)
    await expectUnharmed(signal)
  })

  it('that a processor aborts ends the request', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const processors = [() => controller.abort(reason)]
    await expect(collect(model.generateTokens(prompt, { signal, processors }))).rejects.toBe(reason)
    await expectUnharmed(signal)
  })

  it('of a timer ends a request, because the event loop is free', async () => {
    const signal = AbortSignal.timeout(20)
    const call = collect(model.generate('O', { maxTokens: 1000, ignoreEnd: true, signal }))
    await expect(call).rejects.toHaveProperty('name', 'TimeoutError')
  })

  it('ends logits and NLL', async () => {
    for (const run of [
      (signal: AbortSignal) => model.logits(text, { signal }),
      (signal: AbortSignal) => model.nll(text, { signal }),
    ]) {
      const controller = new AbortController()
      const call = errorOf(run(controller.signal))
      afterPrograms(pool, 1, () => controller.abort(reason))
      expect(await call).toBe(reason)
      await expectUnharmed(controller.signal)
    }
  })

  it('ends its own request and leaves the others alone', async () => {
    const options = { maxTokens: 60 }
    const prompts = Array.from({ length: 8 }, (_, i) => text.slice(60 * i, 60 * i + 20 * (i + 1)))
    const controllers = prompts.map(() => new AbortController())
    const calls = prompts.map((ids, i) =>
      trace(model, ids, { ...options, signal: controllers[i].signal }),
    )
    const results = Promise.allSettled(calls)
    for (let i = 1; i < 8; i += 2) {
      await new Promise<void>((resolve) => afterPrograms(pool, 4, resolve))
      controllers[i].abort(i)
    }
    for (const [i, result] of (await results).entries()) {
      if (i % 2 === 1) expect(result).toEqual({ status: 'rejected', reason: i })
      else if (result.status === 'rejected') throw result.reason
      else await expectSameLogits(model, prompts[i], result.value)
    }
  })

  it('serves any number of requests without accumulating listeners', async () => {
    const { signal } = new AbortController()
    for (let i = 0; i < 5; i++) {
      await Promise.all([1, 2, 3].map(() => trace(model, prompt, { maxTokens: 5, signal })))
    }
    await expectUnharmed(signal)
  })
})
