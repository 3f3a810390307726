import { compareLinears, compareModels, Model, NoTokenError, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Any } from '../support/public-api.js'
import { shallowFixture } from '../support/shallow-fixture.js'
import { collect } from './support.js'

/*
 * Callers may change tokens and options after a call has returned, although most calls read them later, when nothing
 * validates them again.
 */

let pool: Pool
let model: Model
let other: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, shallowFixture())
  other = await Model.load(pool, shallowFixture(), { outliers: 0 })
})
afterAll(async () => await pool.close())

const tokens = [5, 99, 1000, 7, 512, 3, 4, 6, 11, 2000, 8, 100]

const calls: Record<string, (ids: ArrayLike<number>) => Promise<unknown>> = {
  logits: (ids) => model.logits(ids),
  nll: (ids) => model.nll(ids, { window: 4 }),
  generateTokens: (ids) => collect(model.generateTokens(ids, { maxTokens: 5, ignoreEnd: true })),
  generate: (ids) => collect(model.generate(ids, { maxTokens: 5 })),
  compareModels: (ids) => compareModels(model, other, ids, { window: 6 }),
  compareLinears: (ids) => compareLinears(model, other, ids),
}

describe.each(Object.entries(calls))('tokens given to %s', (_, call) => {
  it('can be overwritten as soon as it returns', async () => {
    const expected = await call(tokens)
    for (const ids of [[...tokens], Uint32Array.from(tokens), Float64Array.from(tokens)]) {
      const result = call(ids)
      ids.fill(0xffffffff)
      expect(await result).toEqual(expected)
    }
  })

  it('can grow or shrink', async () => {
    const expected = await call(tokens)
    for (const length of [200_000, 0]) {
      const ids = [...tokens]
      const result = call(ids)
      ids.length = length
      expect(await result).toEqual(expected)
    }
  })

  it('can lose their memory', async () => {
    const expected = await call(tokens)
    const ids = Uint32Array.from(tokens)
    const result = call(ids)
    structuredClone(ids.buffer, { transfer: [ids.buffer] })
    expect(await result).toEqual(expected)
  })

  it.each<[string, Any]>([
    ['a fractional length', { length: 1.5, 0: 1, 1: 2 }],
    ['a length that is not a number', { length: '2', 0: 1, 1: 2 }],
    ['a length above the number of elements', { length: 2 ** 40, 0: 1, 1: 2 }],
    [
      'an array with a length of its own',
      Object.defineProperty(Uint32Array.of(1, 2), 'length', { value: 9 }),
    ],
    ['a hole', Object.assign(new Array(3), { 0: 1, 2: 2 })],
    ['bigints', [1n, 2n]],
    ['null', null],
    ['nothing', undefined],
  ])('are refused as %s', async (_, ids) => {
    const error = await (async () => await call(ids))().catch((error) => error)
    expect(error).toMatchObject({ code: 'ERR_DOTPOOL_ARGUMENT' })
  })
})

describe('the arrays that a model computes with', () => {
  it('cannot be changed', async () => {
    const expected = (await model.logits(tokens)).data
    const changes: (() => void)[] = [
      () => Object.assign(model, { maxContext: 1e6 }),
      () => Object.assign(model, { config: {} }),
      () => Object.assign(model.config, { vocabSize: 1e9 }),
      () => Object.assign(model.config.rope, { theta: 1 }),
      () => (model.config.eosTokenIds as number[]).push(5),
      () => (model.config.windows as number[]).fill(1),
    ]
    for (const change of changes) expect(change).toThrow(TypeError)
    const linears = model.linears as Map<string, unknown>
    linears.set('lm_head', linears.get('model.layers.0.self_attn.q_proj'))
    const fresh = await Model.load(pool, shallowFixture())
    expect((await fresh.logits(tokens)).data).toEqual(expected)
    expect((await model.logits([...tokens, 9])).data.subarray(0, expected.length)).toEqual(expected)
  })
})

describe('other arguments of generate', () => {
  it('can change as soon as it returns', async () => {
    const stop = ['e', 'zz']
    const sampling = { temperature: 0 }
    const options = { maxTokens: 6, ignoreEnd: true, processors: [() => {}], stop, sampling }
    const expected = await collect(model.generate(tokens, options))
    const pieces = model.generate(tokens, options)
    options.processors.push(5 as Any)
    options.ignoreEnd = 7 as Any
    options.maxTokens = Number.NaN
    stop.push(5 as Any)
    sampling.temperature = Number.NaN
    expect(await collect(pieces)).toEqual(expected)
  })

  it('can include a hundred thousand stop strings', async () => {
    const stop = Array.from({ length: 130_000 }, (_, i) => `stop ${i}`)
    const pieces = await collect(model.generate(tokens, { maxTokens: 3, stop }))
    expect(pieces.join('')).toEqual(
      (await collect(model.generate(tokens, { maxTokens: 3 }))).join(''),
    )
  })
})

describe('a processor', () => {
  it('that masks every token ends its own request with a NoTokenError, sampled or greedy', async () => {
    const mask = (logits: Float32Array, ids: readonly number[]) => {
      if (ids.length === tokens.length + 1) logits.fill(Number.NEGATIVE_INFINITY)
    }
    for (const temperature of [0, 0.8]) {
      const options = { maxTokens: 4, ignoreEnd: true, sampling: { temperature, seed: 1 } }
      const expected = await collect(model.generateTokens(tokens, options))
      const masked = collect(model.generateTokens(tokens, { ...options, processors: [mask] }))
      const others = collect(model.generateTokens(tokens, options))
      const error = await masked.catch((error) => error)
      expect(error).toBeInstanceOf(NoTokenError)
      expect(error).toMatchObject({ code: 'ERR_DOTPOOL_NO_TOKEN' })
      expect(error.message).toMatch(`position ${tokens.length + 1}`)
      expect(await others).toEqual(expected)
    }
  })

  it('that is async is refused, and its rejection is handled', async () => {
    const unheard: unknown[] = []
    const listen = (reason: unknown) => unheard.push(reason)
    process.on('unhandledRejection', listen)
    const late = async () => {
      throw new Error('late')
    }
    // biome-ignore lint/suspicious/noThenProperty: as promises of other libraries have it
    const thenable = () => ({ then() {} })
    for (const [i, processors] of [[late], [() => {}, thenable as Any]].entries()) {
      const generating = collect(model.generateTokens(tokens, { processors }))
      await expect(generating).rejects.toMatchObject({
        code: 'ERR_DOTPOOL_ARGUMENT',
        argument: 'processors',
        got: `a promise from the one at index ${i}`,
      })
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', listen)
    expect(unheard).toEqual([])
  })
})
