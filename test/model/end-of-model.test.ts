import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DisposedError, PoolClosedError } from '#src/errors.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { errorOf, pause } from '../support/threads.js'
import { collect, expectSameLogits, fixture, readIds, trace } from './support.js'

const text = [...readIds(join(fixture, 'val_ids.u16')).subarray(0, 1000)]
const endless = { maxTokens: 900, ignoreEnd: true }

/** Texts that are being written and read, and other work. */
function workOf(model: Model): Promise<unknown>[] {
  return [
    ...[0, 1, 2].map((i) => collect(model.generateIds(text.slice(9 * i, 10 + 9 * i), endless))),
    collect(model.generate('O', endless)),
    trace(model, [7], { maxTokens: 900 }),
    model.logits(text),
    model.nll(text),
  ].map(errorOf)
}

describe('pool.close()', () => {
  it.each([0, 3, 10, 30])('after %i ms rejects all that a model does', async (millis) => {
    const pool = await Pool.create({ threads: 2 })
    const model = await Model.load(pool, fixture)
    const work = workOf(model)
    await pause(millis)
    await pool.close()
    for (const error of await Promise.all(work)) expect(error).toBeInstanceOf(PoolClosedError)
    await expect(model.logits([1])).rejects.toThrow(PoolClosedError)
    await expect(collect(model.generate('O'))).rejects.toThrow(PoolClosedError)
    model.dispose()
  })

  it('by the reader of a text ends it', async () => {
    const pool = await Pool.create({ threads: 1 })
    const model = await Model.load(pool, fixture)
    const run = async () => {
      for await (const _ of model.generate('O')) void pool.close()
    }
    await expect(run()).rejects.toThrow(PoolClosedError)
  })
})

describe('model.dispose()', () => {
  it.each([0, 3, 10, 30])('after %i ms rejects all that the model does', async (millis) => {
    await using pool = await Pool.create({ threads: 2 })
    const [model, other] = [await Model.load(pool, fixture), await Model.load(pool, fixture)]
    const work = workOf(model)
    const prompt = text.slice(0, 10)
    const unharmed = trace(other, prompt, { maxTokens: 40 })
    await pause(millis)
    model.dispose()
    for (const error of await Promise.all(work)) expect(error).toBeInstanceOf(DisposedError)
    await expectSameLogits(other, prompt, await unharmed)
    expect(() => model.generate('O')).toThrow(DisposedError)
  })

  it('by the reader of a text ends it', async () => {
    await using pool = await Pool.create({ threads: 1 })
    const model = await Model.load(pool, fixture)
    const given: number[] = []
    const run = async () => {
      for await (const id of model.generateIds([5], endless)) {
        given.push(id)
        if (given.length === 4) model.dispose()
      }
    }
    await expect(run()).rejects.toThrow(DisposedError)
    expect(given.length).toBe(4)
  })

  it('is what `using` does', async () => {
    await using pool = await Pool.create({ threads: 1 })
    let late: Model
    {
      using model = await Model.load(pool, fixture)
      late = model
    }
    await expect(late.logits([1])).rejects.toThrow(DisposedError)
  })
})

describe('a text that is left early', () => {
  it('ends, and costs nothing more', async () => {
    await using pool = await Pool.create({ threads: 2 })
    using model = await Model.load(pool, fixture)
    for await (const _ of model.generate('O', endless)) break
    // the step that was queued ahead
    await pause(20)
    const before = model.stats()
    await pause(10)
    expect(model.stats()).toEqual(before)
    const never = model.generateIds(text.slice(0, 5))
    await never.return()
    expect(await collect(never)).toEqual([])
    expect(model.stats()).toEqual(before)
    const prompt = text.slice(0, 5)
    await expectSameLogits(model, prompt, await trace(model, prompt, { maxTokens: 20 }))
  })

  it('leaves others alone', async () => {
    await using pool = await Pool.create({ threads: 2 })
    using model = await Model.load(pool, fixture)
    const prompt = text.slice(0, 70)
    const whole = trace(model, prompt, { maxTokens: 60 })
    for (let i = 0; i < 10; i++) {
      let count = 0
      for await (const _ of model.generateIds(prompt, endless)) if (++count > i) break
    }
    await expectSameLogits(model, prompt, await whole)
  })
})
