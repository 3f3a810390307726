import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DisposedError, QueueFullError } from '#src/errors.js'
import type { GenerationChunk } from '#src/model/generation/run.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { expectSameBits } from '../support/reference.js'
import { shallowFixture } from '../support/shallow-fixture.js'
import { errorOf } from '../support/threads.js'
import {
  collect,
  fixture,
  loadMade,
  loadShallow,
  logitsOf,
  readIds,
  tinyConfig,
} from './support.js'

needLibrary()

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

const prompt = 'ROMEO:'

describe('the result of a generation', () => {
  it('has the text and its tokens, whether it was read or not', async () => {
    const read = model.generate(prompt, { maxTokens: 30 })
    const pieces = await collect(read)
    const result = await read.result
    expect(result.text).toBe(pieces.join(''))
    expect(model.tokenizer.decode(result.tokens)).toBe(result.text)
    // more than a consumer who does not read may leave
    expect(result.tokens.length).toBe(30)
    const {
      usage: _,
      timing: __,
      ...unread
    } = await model.generate(prompt, { maxTokens: 30 }).result
    expect(result).toMatchObject(unread)
  })

  it('can be asked for before the text is read', async () => {
    const run = model.generate(prompt, { maxTokens: 30 })
    const { result } = run
    const pieces = await collect(run)
    expect((await result).text).toBe(pieces.join(''))
  })

  it('says why the text ended', async () => {
    const reasonOf = async (options: object) =>
      (await model.generate(prompt, { maxTokens: 40, ...options }).result).finishReason
    expect(await reasonOf({})).toBe('length')
    const { text } = await model.generate(prompt, { maxTokens: 40 }).result
    expect(await reasonOf({ stop: [text.slice(10, 14)] })).toBe('stop')
    using half = await Model.load(pool, shallowFixture(), { maxContext: 20 })
    expect((await half.generate(prompt, { maxTokens: 40 }).result).finishReason).toBe('context')
    expect((await half.generate(prompt).result).finishReason).toBe('context')
  })

  it('does not count a token that ends the text to its tokens, but to its cost', async () => {
    const options = { maxTokens: 4, sampling: { temperature: 5, seed: 1 } }
    using endless = await loadMade(pool, { ...tinyConfig, eos_token_id: null })
    const [first, second] = await collect(endless.generateTokens([9], options))
    using ending = await loadMade(pool, { ...tinyConfig, eos_token_id: [3, second] })
    const messages: { millis: number }[] = []
    const { subscribe, unsubscribe } = await import('node:diagnostics_channel')
    const listen = (message: unknown) => messages.push(message as { millis: number })
    const channels = ['dotpool:request:first-token', 'dotpool:request:finished']
    for (const channel of channels) subscribe(channel, listen)
    expect(await collect(ending.generateTokens([9], options))).toEqual([first])
    for (const channel of channels) unsubscribe(channel, listen)
    expect(messages).toMatchObject([
      { model: ending, queueMillis: expect.any(Number) },
      {
        model: ending,
        firstTokenMillis: messages[0].millis,
        finishReason: 'stop',
        promptTokens: 1,
        completionTokens: 2,
        error: undefined,
      },
    ])
  })

  it('counts tokens, also those that an earlier request had computed', async () => {
    using fresh = await Model.load(pool, shallowFixture())
    const promptTokens = fresh.tokenizer.encode(prompt).length
    const usageOf = async () => (await fresh.generate(prompt, { maxTokens: 5 }).result).usage
    expect(await usageOf()).toEqual({ promptTokens, cachedTokens: 0, completionTokens: 5 })
    const cachedTokens = promptTokens - 1
    expect(await usageOf()).toEqual({ promptTokens, cachedTokens, completionTokens: 5 })
  })

  it('has what there was where a signal or its reader ends the text', async () => {
    const controller = new AbortController()
    const run = model.generate(prompt, { maxTokens: 500, signal: controller.signal })
    const pieces = [await run.next(), await run.next()].map(({ value }) => value)
    controller.abort(new Error('enough'))
    await expect(run.next()).rejects.toThrow('enough')
    const { finishReason, text, tokens } = await run.result
    expect(finishReason).toBe('aborted')
    expect(text.startsWith(pieces.join(''))).toBe(true)
    expect(tokens.length).toBeLessThan(30)

    const left = model.generate(prompt, { maxTokens: 500 })
    for await (const _ of left) break
    expect(await left.result).toMatchObject({ finishReason: 'aborted' })
    expect(await left.next()).toEqual({ done: true, value: undefined })

    const unread = model.generate(prompt)
    await unread.return()
    expect(await unread.result).toMatchObject({ finishReason: 'aborted', tokens: [] })
    const { signal } = controller
    const late = await model.generate(prompt, { signal }).result
    expect(late).toMatchObject({ finishReason: 'aborted', text: '' })
  })

  it('rejects with what went wrong, and nobody else hears of it', async () => {
    const unheard: unknown[] = []
    const listen = (reason: unknown) => unheard.push(reason)
    process.on('unhandledRejection', listen)
    const reason = new Error('no')
    const processors = [
      () => {
        throw reason
      },
    ]
    await expect(model.generate(prompt, { processors }).result).rejects.toBe(reason)
    await expect(collect(model.generate(prompt, { processors }))).rejects.toBe(reason)
    await expect(model.generate('').result).rejects.toMatchObject({ argument: 'prompt' })
    using gone = await Model.load(pool, shallowFixture())
    const run = gone.generate(prompt, { maxTokens: 500 })
    await run.next()
    gone.dispose()
    await expect(run.result).rejects.toThrow(DisposedError)
    await setTimeout(5)
    process.off('unhandledRejection', listen)
    expect(unheard).toEqual([])
  })
})

describe('chunks', () => {
  it('have every token, and their texts are the text', async () => {
    const options = { maxTokens: 40, stop: ['zzz'], sampling: { temperature: 2, seed: 4 } }
    const chunks = await collect(model.generate(prompt, options).chunks())
    const { text, tokens } = await model.generate(prompt, options).result
    expect(chunks.flatMap((chunk) => chunk.tokens)).toEqual(tokens)
    expect(chunks.map((chunk) => chunk.text).join('')).toBe(text)
    expect(chunks.every((chunk) => chunk.logprobs === undefined)).toBe(true)
  })

  it('end the text where their reader leaves', async () => {
    const run = model.generate(prompt, { maxTokens: 500 })
    for await (const _ of run.chunks()) break
    expect(await run.result).toMatchObject({ finishReason: 'aborted' })
  })
})

describe('logprobs', () => {
  const tokens = [5, 17, 300, 42]
  const sampling = { temperature: 1.5, topK: 40, repetitionPenalty: 1.2, seed: 3 }
  const told = (chunks: GenerationChunk[]) => chunks.flatMap(({ logprobs }) => logprobs ?? [])

  it('are those of the logits, before any sampling parameter', async () => {
    const options = { maxTokens: 12, sampling, logprobs: 5, ignoreEnd: true }
    const run = model.generate(tokens, options)
    const { tokens: sampled, logprobs = [] } = await run.result
    const all = await logitsOf(model, [...tokens, ...sampled])
    expect(logprobs.map(({ token }) => token)).toEqual(sampled)
    for (const [i, { token, logprob, top }] of logprobs.entries()) {
      const at = (tokens.length - 1 + i) * 2048
      const row = all.subarray(at, at + 2048)
      const most = Math.max(...row)
      const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0))
      const best = [...row.keys()].sort((a, b) => row[b] - row[a] || a - b).slice(0, 5)
      expect(top.map(({ token }) => token)).toEqual(best)
      for (const one of [{ token, logprob }, ...top]) {
        expect(one.logprob).toBeCloseTo(row[one.token] - most - logSum, 4)
      }
    }
  })

  it('are the same alone, among others, and where nothing is sampled ahead', async () => {
    const options = { maxTokens: 10, sampling: { temperature: 1, seed: 3 }, logprobs: 2 }
    const chunksOf = (more: object = {}) =>
      collect(model.generate(tokens, { ...options, ...more }).chunks())
    const alone = told(await chunksOf())
    expect(alone.length).toBe(10)
    const others = [chunksOf({ logprobs: 20 }), chunksOf({ logprobs: undefined })]
    expect(told(await chunksOf())).toEqual(alone)
    await Promise.all(others)
    expect(told(await chunksOf({ processors: [() => {}] }))).toEqual(alone)
    const [{ token, logprob, top }] = told(await chunksOf({ logprobs: 0 }))
    expect({ token, logprob, top }).toEqual({ ...alone[0], top: [] })
  })

  it.each([-1, 21, 0.5, '3'])('refuses %s', (logprobs) => {
    const call = () => model.generate(tokens, { logprobs: logprobs as number })
    expect(call).toThrow(/^logprobs: expected an integer in \[0, 20\]/)
  })
})

describe('sampling parameters of logits', () => {
  const tokens = [5, 17, 300, 42]
  const sample = (sampling: object, maxTokens = 30) =>
    collect(model.generateTokens(tokens, { maxTokens, ignoreEnd: true, sampling }))

  it('logitBias forbids tokens and forces one', async () => {
    const greedy = await sample({})
    const logitBias = Object.fromEntries(greedy.map((token) => [token, -Infinity]))
    const others = await sample({ logitBias })
    expect(others.some((token) => greedy.includes(token))).toBe(false)
    expect(await sample({ logitBias: { 77: 1e4 }, temperature: 2 }, 5)).toEqual(
      new Array(5).fill(77),
    )
  })

  it('penalties of frequency and presence keep tokens from coming again', async () => {
    expect(new Set(await sample({ presencePenalty: 1e4 })).size).toBe(30)
    const twice = await sample({ frequencyPenalty: 1e4, logitBias: { 7: 1.5e4, 8: 1.5e4 } }, 4)
    expect(twice.sort()).toEqual([7, 7, 8, 8])
    // the prompt's tokens do not count
    const forced = { logitBias: { 5: 1e4 }, presencePenalty: 5e3 }
    expect((await sample(forced, 1))[0]).toBe(5)
  })
})

describe('the memory of the KV cache', () => {
  const text = [...readIds(join(fixture, 'val_ids.u16'))]
  const options = { maxTokens: 100, ignoreEnd: true }

  /** A model with room for so many pages of 64 tokens, of which a sequence needs three at most. */
  async function loadSmall(pages: number, more: LoadOptions = {}): Promise<Model> {
    const { cacheBytes } = model
    return await loadShallow(pool, { maxContext: 192, kvBytes: pages * 64 * cacheBytes, ...more })
  }

  it('that is spent makes later requests wait, and all get the tokens they would get alone', async () => {
    using small = await loadSmall(4)
    const prompts = Array.from({ length: 6 }, (_, i) => text.slice(100 * i, 100 * i + 30 + 10 * i))
    const alone: number[][] = []
    for (const tokens of prompts) alone.push(await collect(small.generateTokens(tokens, options)))
    expect(small.stats().preemptions).toBe(0)
    const together = prompts.map((tokens) => collect(small.generateTokens(tokens, options)))
    expect(await Promise.all(together)).toEqual(alone)
    const { preemptions, running, waiting, kvBytes } = small.stats()
    expect(preemptions).toBeGreaterThan(0)
    expect([running, waiting]).toEqual([0, 0])
    expect(kvBytes).toBeLessThanOrEqual(4 * 64 * model.cacheBytes)
  })

  it('that is spent does not touch scores and logits', async () => {
    using small = await loadSmall(3)
    const window = text.slice(0, 190)
    const nll = await small.nll(window, { window: 190 })
    const logits = await logitsOf(small, window)
    const busy = [1, 2, 3].map((i) => collect(small.generateTokens(text.slice(i, 100), options)))
    const got = await Promise.all([small.nll(window, { window: 190 }), logitsOf(small, window)])
    expect(got[0]).toBe(nll)
    expectSameBits(got[1], logits)
    await Promise.all(busy)
  })

  it('of a request whose consumer does not read goes to one that waits', async () => {
    using small = await loadSmall(3)
    const prompt = text.slice(0, 120)
    const expected = await collect(small.generateTokens(prompt, { ...options, maxTokens: 60 }))
    const slow = small.generateTokens(prompt, { ...options, maxTokens: 60 })
    const first = await slow.next()
    const other = text.slice(500, 620)
    expect((await collect(small.generateTokens(other, { ...options, maxTokens: 60 }))).length).toBe(
      60,
    )
    expect([first.value, ...(await collect(slow))]).toEqual(expected)
  })

  it('refuses requests where more than maxQueue wait', async () => {
    using small = await loadSmall(3, { maxQueue: 2 })
    const run = () => collect(small.generateTokens(text.slice(0, 150), options))
    const calls = await Promise.allSettled(Array.from({ length: 6 }, run))
    const refused = calls.filter(({ status }) => status === 'rejected')
    // one runs, and two wait
    expect(refused.length).toBe(3)
    for (const call of refused) {
      expect((call as PromiseRejectedResult).reason).toBeInstanceOf(QueueFullError)
    }
    expect((await run()).length).toBe(42)
  })

  it('refuses requests while more than maxQueuedTokens of prompts wait, though there is memory', async () => {
    using roomy = await loadShallow(pool, { maxQueuedTokens: 300, prefixCache: false })
    const refusedOf = async (lengths: number[], group?: object) => {
      const calls = lengths.map((length) => {
        return collect(roomy.generateTokens(text.slice(0, length), { maxTokens: 2, group }))
      })
      const before = roomy.stats().queuedTokens
      const refused = (await Promise.allSettled(calls)).flatMap((call, i) => {
        if (call.status === 'fulfilled') return []
        expect(call.reason).toMatchObject({ code: 'ERR_DOTPOOL_QUEUE_FULL', limit: 300 })
        return [i]
      })
      return { before, refused }
    }
    expect(await refusedOf([150, 150, 90, 30])).toEqual({ before: 390, refused: [3] })
    expect(await refusedOf([600, 2])).toEqual({ before: 600, refused: [1] })
    // those that belong together are taken together
    expect(await refusedOf([600, 2], {})).toEqual({ before: 602, refused: [] })
    roomy.limitQueue({ maxQueuedTokens: 600 })
    expect(await refusedOf([600, 2])).toEqual({ before: 602, refused: [] })
    expect(() => roomy.limitQueue({ maxQueuedTokens: -1 })).toThrow('maxQueuedTokens: expected')
    const { queuedTokens, prefillTokens, prefillMicros } = roomy.stats()
    expect([queuedTokens, prefillMicros > 0]).toEqual([0, true])
    expect(prefillTokens).toBe(390 + 600 + 602 + 602)
  })

  it('of an aborted request serves the next one, also amid its prefill', async () => {
    using small = await loadSmall(3)
    const reason = new Error('enough')
    for (let i = 0; i < 40; i++) {
      const controller = new AbortController()
      const { signal } = controller
      const tokens = text.slice(i, i + 180)
      const call = errorOf(collect(small.generateTokens(tokens, { ...options, signal })))
      await setTimeout(i % 4)
      controller.abort(reason)
      expect(await call).toBe(reason)
    }
    expect(small.stats()).toMatchObject({ running: 0, waiting: 0 })
    expect((await collect(small.generateTokens(text.slice(900, 1080), options))).length).toBe(12)
  })

  it('always has room for one sequence of the context', async () => {
    using small = await loadSmall(1 / 64)
    expect((await collect(small.generateTokens(text.slice(0, 180), options))).length).toBe(12)
  })

  it.each<[string, LoadOptions]>([
    ['kvBytes', { kvBytes: 0 }],
    ['kvBytes', { kvBytes: 0.5 }],
    ['kvBytes', { kvBytes: '1 GiB' as unknown as number }],
    ['maxQueue', { maxQueue: -1 }],
    ['maxQueuedTokens', { maxQueuedTokens: 0.5 }],
    ['prefixCache', { prefixCache: 1 as unknown as boolean }],
  ])('refuses a bad %s: %o', async (argument, options) => {
    await expect(loadShallow(pool, options)).rejects.toMatchObject({ argument })
  })
})

describe('a consumer who does not read', () => {
  it('stops its request after a few tokens, and finds all of them later', async () => {
    const options = { maxTokens: 60, ignoreEnd: true }
    const expected = await collect(model.generateTokens([5, 17], options))
    const before = model.stats().steps
    const run = model.generateTokens([5, 17], options)
    const first = await run.next()
    await setTimeout(100)
    expect(model.stats().steps - before).toBeLessThanOrEqual(18)
    expect([first.value, ...(await collect(run))]).toEqual(expected)
  })
})
