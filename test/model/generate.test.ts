import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError, DisposedError, PoolClosedError } from '#src/errors.js'
import type { GenerateOptions } from '#src/model/generation/generate.js'
import { loadModel } from '#src/model/load.js'
import type { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { collect, fixture, temporaryFolder, tinyConfig, writeCheckpoint } from './support.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool, fixture)
})
afterAll(async () => await pool.close())

const pieces = (prompt: string | number[], options: GenerateOptions) =>
  collect(model.generate(prompt, options))

describe('generate', () => {
  it('streams the text of the ids it generates', async () => {
    const prompt = model.tokenizer.encode('ROMEO:')
    const ids = await collect(model.generateIds(prompt, { maxTokens: 20 }))
    const text = await pieces('ROMEO:', { maxTokens: 20 })
    expect(text.length).toBeGreaterThan(5)
    expect(text.join('')).toBe(model.tokenizer.decode(ids))
  })

  it('never splits a code point, even when the ids are random bytes', async () => {
    const options = { maxTokens: 60, temperature: 1000, seed: 3 }
    const text = await pieces('O', options)
    expect(text.every((piece) => piece !== '' && !/\p{Surrogate}/u.test(piece))).toBe(true)
    const ids = await collect(model.generateIds(model.tokenizer.encode('O'), options))
    expect(text.join('')).toBe(model.tokenizer.decode(ids))
  })

  it('ends before a stop string, which may span pieces', async () => {
    const whole = (await pieces('ROMEO:', { maxTokens: 40 })).join('')
    const stop = whole.slice(25, 32)
    const text = (await pieces('ROMEO:', { maxTokens: 40, stop: ['never', stop] })).join('')
    expect(text).toBe(whole.slice(0, whole.indexOf(stop)))
  })

  it('repeats itself for a seed', async () => {
    const draw = async (seed: number) =>
      (await pieces('KING', { maxTokens: 16, temperature: 1, topK: 50, topP: 0.95, seed })).join('')
    expect(await draw(1)).toBe(await draw(1))
    expect(await draw(1)).not.toBe(await draw(2))
  })

  it('stops when aborted, between two ids or before the first', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const given: string[] = []
    const run = async () => {
      for await (const piece of model.generate('O', { signal: controller.signal })) {
        given.push(piece)
        if (given.length === 3) controller.abort(reason)
      }
    }
    await expect(run()).rejects.toBe(reason)
    expect(given.length).toBe(3)
    await expect(pieces('O', { signal: controller.signal })).rejects.toBe(reason)
  })

  it('stops when a timer aborts, for it leaves the event loop alone', async () => {
    const signal = AbortSignal.timeout(50)
    const call = pieces('O', { maxTokens: 1000, signal })
    await expect(call).rejects.toHaveProperty('name', 'TimeoutError')
  })

  it('can be left early, and two can run at once', async () => {
    for await (const _ of model.generate('O')) break
    const [a, b, c] = await Promise.all(
      ['ROMEO:', 'JULIET:', 'ROMEO:'].map((prompt) => pieces(prompt, { maxTokens: 12 })),
    )
    expect(a).toEqual(c)
    expect(a).not.toEqual(b)
  })

  it('refuses bad arguments at once', () => {
    for (const prompt of ['', [], [2048], [-1], [0.5], new Array(1024).fill(5)]) {
      expect(() => model.generate(prompt)).toThrow(ArgumentError)
    }
    for (const options of [
      { maxTokens: 0 },
      { maxTokens: 1.5 },
      { stop: [''] },
      { stop: ['\ud83d'] },
      { topP: 2 },
    ]) {
      expect(() => model.generate('O', options)).toThrow(ArgumentError)
    }
  })
})

it('fails with the pool, once and for all', async () => {
  const brief = await Pool.create({ threads: 1 })
  const doomed = await loadModel(brief, fixture)
  const run = async () => {
    for await (const _ of doomed.generate('O')) void brief.close()
  }
  await expect(run()).rejects.toThrow(PoolClosedError)
})

describe('generate with a small context', () => {
  it('ends with the context', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, { ...tinyConfig, eos_token_id: null })
    using tiny = await loadModel(null, folder.path)
    const ids = await collect(tiny.generateIds(new Array(29).fill(7), { maxTokens: 100 }))
    expect(ids.length).toBe(tinyConfig.max_position_embeddings - 29)
    expect(() => tiny.generateIds(new Array(32).fill(7))).toThrow(/at most 31/)
  })

  it('ends at an id that ends a text, without giving it', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, { ...tinyConfig, eos_token_id: null })
    using endless = await loadModel(null, folder.path)
    const options = { maxTokens: 2, temperature: 5, seed: 1 }
    const [first, second] = await collect(endless.generateIds([9], options))
    expect(second).not.toBe(first)
    await writeCheckpoint(folder.path, { ...tinyConfig, eos_token_id: [second] })
    using ending = await loadModel(null, folder.path)
    expect(await collect(ending.generateIds([9], options))).toEqual([first])
  })
})

describe('a disposed model', () => {
  it('throws DisposedError', async () => {
    const disposed = await loadModel(pool, fixture)
    const cache = disposed.createCache(4)
    disposed.dispose()
    await expect(disposed.forward([1], cache)).rejects.toThrow(DisposedError)
    expect(() => disposed.generate('O')).toThrow(DisposedError)
    await expect(disposed.nll([1, 2])).rejects.toThrow(DisposedError)
    disposed.dispose()
  })
})
