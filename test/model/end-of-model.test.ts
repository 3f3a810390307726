import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DisposedError, PoolClosedError } from '#src/errors.js'
import { Model } from '#src/model/model.js'
import { Linear } from '#src/ops/linear.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { shallowFixture } from '../support/shallow-fixture.js'
import { afterPrograms, errorOf } from '../support/threads.js'
import { collect, expectSameLogits, fixture, loadShallow, readIds, trace } from './support.js'

needLibrary()

const text = [...readIds(join(fixture, 'val_ids.u16')).subarray(0, 1000)]
const endless = { maxTokens: 900, ignoreEnd: true }

/** Requests in decode and in prefill, and other work. */
function workOf(model: Model): Promise<unknown>[] {
  return [
    ...[0, 1, 2].map((i) => collect(model.generateTokens(text.slice(9 * i, 10 + 9 * i), endless))),
    collect(model.generate('O', endless)),
    trace(model, [7], { maxTokens: 900 }),
    model.logits(text),
    model.nll(text),
  ].map(errorOf)
}

/** Resolves when `steps` steps have been given to the workers. */
function begun(pool: Pool, steps: number): Promise<void> {
  return new Promise((resolve) => {
    if (steps === 0) resolve()
    else afterPrograms(pool, steps, resolve)
  })
}

describe('pool.close()', () => {
  it.each([0, 1, 2, 5])('after %i steps rejects all work of a model', async (steps) => {
    const pool = await Pool.create({ threads: 2 })
    const model = await Model.load(pool, shallowFixture())
    const work = workOf(model)
    await begun(pool, steps)
    await pool.close()
    for (const error of await Promise.all(work)) expect(error).toBeInstanceOf(PoolClosedError)
    await expect(model.logits([1])).rejects.toThrow(PoolClosedError)
    await expect(collect(model.generate('O'))).rejects.toThrow(PoolClosedError)
    model.dispose()
  })

  it("by a request's consumer ends the request", async () => {
    const pool = await Pool.create({ threads: 1 })
    const model = await Model.load(pool, shallowFixture())
    const run = async () => {
      for await (const _ of model.generate('O')) void pool.close()
    }
    await expect(run()).rejects.toThrow(PoolClosedError)
  })
})

describe('model.dispose()', () => {
  it.each([0, 1, 2, 5])('after %i steps rejects all work of the model', async (steps) => {
    await using pool = await Pool.create({ threads: 2 })
    const [model, other] = [await Model.load(pool, shallowFixture()), await loadShallow(pool)]
    const work = workOf(model)
    const prompt = text.slice(0, 10)
    const unharmed = trace(other, prompt, { maxTokens: 40 })
    await begun(pool, steps)
    model.dispose()
    for (const error of await Promise.all(work)) expect(error).toBeInstanceOf(DisposedError)
    await expectSameLogits(other, prompt, await unharmed)
    expect(() => model.generate('O')).toThrow(DisposedError)
  })

  it("by a request's consumer ends the request", async () => {
    await using pool = await Pool.create({ threads: 1 })
    const model = await Model.load(pool, shallowFixture())
    const given: number[] = []
    const run = async () => {
      for await (const id of model.generateTokens([5], endless)) {
        given.push(id)
        if (given.length === 4) model.dispose()
      }
    }
    await expect(run()).rejects.toThrow(DisposedError)
    expect(given.length).toBe(4)
  })

  it('is what `using` calls', async () => {
    await using pool = await Pool.create({ threads: 1 })
    let late: Model
    {
      using model = await Model.load(pool, shallowFixture())
      late = model
    }
    await expect(late.logits([1])).rejects.toThrow(DisposedError)
  })
})

describe('a request that its consumer leaves early', () => {
  it('ends, and costs no more steps', async () => {
    await using pool = await Pool.create({ threads: 2 })
    using model = await Model.load(pool, shallowFixture())
    for await (const _ of model.generate('O', endless)) break
    // the speculative step, and any step after it, would come before this one
    const shape = { inFeatures: 4, outFeatures: 3 }
    const layer = await Linear.fromInt8(pool, new Int8Array(12), 1, shape)
    await layer.forward(new Float32Array(4))
    const before = model.stats()
    for (let i = 0; i < 10; i++) await layer.forward(new Float32Array(4))
    expect(model.stats()).toEqual(before)
    const never = model.generateTokens(text.slice(0, 5))
    await never.return()
    expect(await collect(never)).toEqual([])
    expect(model.stats()).toEqual(before)
    const prompt = text.slice(0, 5)
    await expectSameLogits(model, prompt, await trace(model, prompt, { maxTokens: 20 }))
  })

  it('leaves other requests alone', async () => {
    await using pool = await Pool.create({ threads: 2 })
    using model = await Model.load(pool, shallowFixture())
    const prompt = text.slice(0, 70)
    const whole = trace(model, prompt, { maxTokens: 60 })
    for (let i = 0; i < 10; i++) {
      let count = 0
      for await (const _ of model.generateTokens(prompt, endless)) if (++count > i) break
    }
    await expectSameLogits(model, prompt, await whole)
  })
})
