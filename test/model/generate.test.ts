import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import type { GenerateOptions } from '#src/model/generation/generate.js'
import type { Prompt } from '#src/model/generation/prompt.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { collect, fixture, loadMade, tinyConfig } from './support.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, fixture)
})
afterAll(async () => await pool.close())

const pieces = (prompt: Prompt, options: GenerateOptions) =>
  collect(model.generate(prompt, options))

describe('generate', () => {
  it('streams the text of the tokens it generates, from text or tokens', async () => {
    const prompt = model.tokenizer.encode('ROMEO:')
    const ids = await collect(model.generateTokens(prompt, { maxTokens: 20 }))
    const text = await pieces('ROMEO:', { maxTokens: 20 })
    expect(text.length).toBeGreaterThan(5)
    expect(text.join('')).toBe(model.tokenizer.decode(ids))
    expect(await pieces(Uint16Array.from(prompt), { maxTokens: 20 })).toEqual(text)
  })

  it('never splits a code point, even when the tokens are random bytes', async () => {
    const options = { maxTokens: 60, sampling: { temperature: 1000, seed: 3 }, ignoreEnd: true }
    const text = await pieces('O', options)
    expect(text.every((piece) => piece !== '' && !/\p{Surrogate}/u.test(piece))).toBe(true)
    const ids = await collect(model.generateTokens(model.tokenizer.encode('O'), options))
    expect(ids.length).toBe(60)
    expect(text.join('')).toBe(model.tokenizer.decode(ids))
  })

  it('ends before a stop string, which may span pieces, and yields nothing after it', async () => {
    const whole = (await pieces('ROMEO:', { maxTokens: 40 })).join('')
    for (const [from, to] of [
      [25, 32],
      [0, 3],
      [12, 13],
    ]) {
      const stop = whole.slice(from, to)
      const text = (await pieces('ROMEO:', { maxTokens: 40, stop: ['never', stop] })).join('')
      expect(text).toBe(whole.slice(0, whole.indexOf(stop)))
    }
  })

  it('runs no step after a stop string', async () => {
    const whole = (await pieces('ROMEO:', { maxTokens: 40 })).join('')
    const before = model.stats().steps
    await pieces('ROMEO:', { maxTokens: 40, stop: [whole.slice(0, 3)] })
    expect(model.stats().steps - before).toBeLessThan(5)
  })

  it('generates `maxTokens` tokens, 256 by default', async () => {
    const count = async (maxTokens?: number) =>
      (await collect(model.generateTokens([5], { maxTokens, ignoreEnd: true }))).length
    expect(await count(1)).toBe(1)
    expect(await count(70)).toBe(70)
    expect(await count()).toBe(256)
  })

  it('refuses bad prompts at once', () => {
    for (const [prompt, message] of [
      [[], 'prompt: expected at least one token id, got none'],
      [[2048], 'prompt[0]: expected a token id in [0, 2048), got 2048'],
      [[5, -1], 'prompt[1]: expected a token id in [0, 2048), got -1'],
      [[0.5], 'prompt[0]: expected a token id in [0, 2048), got 0.5'],
      [Float32Array.of(Number.NaN), 'prompt[0]: expected a token id in [0, 2048), got NaN'],
      [
        new Array(1024).fill(5),
        'prompt: expected at most 1023 tokens, to leave room for one more, got 1024',
      ],
      [undefined, 'prompt: expected at least one token id, got undefined'],
    ] as [Prompt, string][]) {
      expect(() => model.generate(prompt)).toThrow(ArgumentError)
      expect(() => model.generate(prompt)).toThrow(message)
    }
  })

  it('refuses an empty or too long prompt at the first step', async () => {
    const message = 'prompt: expected at least one token id, got none'
    await expect(model.generate('').next()).rejects.toThrow(message)
    const long = model.generate('a '.repeat(2000))
    await expect(long.next()).rejects.toThrow(/prompt: expected at most 1023 tokens/)
  })

  it.each<[string, object]>([
    ['maxTokens', { maxTokens: 0 }],
    ['maxTokens', { maxTokens: 1.5 }],
    ['stop', { stop: [''] }],
    ['stop', { stop: ['\ud83d'] }],
    ['stop', { stop: 'end' }],
    ['topP', { sampling: { topP: 2 } }],
    ['seed', { sampling: { seed: -1 } }],
    ['signal', { signal: 'now' }],
    ['processors', { processors: () => {} }],
    ['processors', { processors: [3] }],
  ])('refuses a bad %s at once: %o', (argument, options) => {
    const error = expect.objectContaining({ code: 'ERR_DOTPOOL_ARGUMENT', argument })
    expect(() => model.generate('O', options)).toThrow(error)
  })
})

it('generateTokens blames the tokens, which its caller gave', () => {
  expect(() => model.generateTokens([])).toThrow('tokens: expected at least one token id, got none')
  expect(() => model.generateTokens([2048])).toThrow(
    'tokens[0]: expected a token id in [0, 2048), got 2048',
  )
})

describe('a request ends', () => {
  it('at the end of the context', async () => {
    using tiny = await loadMade(pool, { ...tinyConfig, eos_token_id: null })
    const ids = await collect(tiny.generateTokens(new Array(29).fill(7), { maxTokens: 100 }))
    expect(ids.length).toBe(tinyConfig.max_position_embeddings - 29)
    expect(() => tiny.generateTokens(new Array(32).fill(7))).toThrow(/at most 31/)
    using half = await loadMade(pool, tinyConfig, undefined, { maxContext: 10 })
    expect((await collect(half.generateTokens([7, 8], { ignoreEnd: true }))).length).toBe(8)
    expect(() => half.generateTokens(new Array(10).fill(7))).toThrow(/at most 9/)
  })

  it('at an end-of-sequence token, which is not yielded, unless it is ignored', async () => {
    const options = { maxTokens: 4, sampling: { temperature: 5, seed: 1 } }
    using endless = await loadMade(pool, { ...tinyConfig, eos_token_id: null })
    const all = await collect(endless.generateTokens([9], options))
    const [first, second] = all
    expect(second).not.toBe(first)
    using ending = await loadMade(pool, { ...tinyConfig, eos_token_id: [3, second] })
    expect(await collect(ending.generateTokens([9], options))).toEqual([first])
    const ignoring = { ...options, ignoreEnd: true }
    expect(await collect(ending.generateTokens([9], ignoring))).toEqual(all)
  })
})
