import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { PagePool } from '#src/model/decoder/page.js'
import { PrefixCache } from '#src/model/decoder/prefix-cache.js'
import { Sequence } from '#src/model/decoder/sequence.js'
import type { LoadOptions } from '#src/model/load.js'
import type { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { collect, expectSameLogits, fixture, loadShallow, readIds, trace } from './support.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const text = [...readIds(join(fixture, 'val_ids.u16'))]

describe.each<LoadOptions>([{ kv: 'bfloat16' }, { kv: 'int8' }])(
  'a prompt that begins as another text did: %o',
  (options) => {
    let model: Model
    beforeEach(async () => {
      model?.dispose()
      model = await loadShallow(pool, options)
    })

    /** Generates some tokens; returns how many tokens were computed for it. */
    const cost = async (prompt: number[], maxTokens = 3) => {
      const before = model.stats().tokens
      await expectSameLogits(model, prompt, await trace(model, prompt, { maxTokens }))
      // the check computes all tokens but the last once more
      return model.stats().tokens - before - (prompt.length + maxTokens - 1)
    }

    it.each([1, 63, 64, 65, 200])('computes only what is new after %i tokens', async (shared) => {
      expect(await cost(text.slice(0, shared))).toBe(shared + 2)
      const next = [...text.slice(0, shared), ...text.slice(500, 510)]
      expect(await cost(next)).toBe(12)
      // the last token of the same prompt is computed again, for its logits
      expect(await cost(next)).toBe(3)
    })

    it('computes only what is new after the answer, too', async () => {
      const prompt = text.slice(0, 70)
      const answer = await collect(model.generateTokens(prompt, { maxTokens: 20, ignoreEnd: true }))
      // the last token of the answer was sampled, but not computed
      expect(await cost([...prompt, ...answer, 9, 10])).toBe(3 + 2)
    })

    it('shares nothing with a sequence that begins differently', async () => {
      await cost(text.slice(0, 100))
      expect(await cost(text.slice(1, 101))).toBe(102)
    })

    it('does not disturb a running sequence, nor does that disturb it', async () => {
      const prompt = text.slice(0, 100)
      const branches = Array.from({ length: 6 }, (_, i) => [...prompt.slice(0, 40 + 12 * i), 7 + i])
      const first = trace(model, prompt, { maxTokens: 60 })
      await new Promise((resolve) => setTimeout(resolve, 20))
      const others = branches.map((branch) => trace(model, branch, { maxTokens: 30 }))
      for (const [i, traced] of (await Promise.all(others)).entries()) {
        await expectSameLogits(model, branches[i], traced)
      }
      await expectSameLogits(model, prompt, await first)
    })

    it('keeps only computed tokens of sequences that were ended early', async () => {
      const prompt = text.slice(0, 300)
      for await (const _ of model.generateTokens(prompt)) break
      const signal = AbortSignal.timeout(1)
      await collect(model.generateTokens(text.slice(300, 900), { signal })).catch(() => {})
      await cost([...prompt, 5])
      await cost(text.slice(300, 500))
      await cost(text.slice(300, 900))
    })
  },
)

/** A sequence that has computed these tokens. */
function computedSequence(pages: PagePool, tokens: number[]): Sequence {
  const sequence = new Sequence(pool, pages, tokens, 1000)
  expect(sequence.reserve(tokens.length)).toBe(true)
  sequence.computed = tokens.length
  return sequence
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

describe('PrefixCache', () => {
  const fill = (cache: PrefixCache, pages: PagePool, texts: number[][]) =>
    texts.map((tokens) => {
      const sequence = computedSequence(pages, tokens)
      cache.add(sequence)
      return sequence
    })

  it('finds the sequence that has the most in common', () => {
    const [pages, cache] = [new PagePool(pool, 64, 10), new PrefixCache(true)]
    const all = fill(cache, pages, [[1, 2, 3], [1, 2, 4, 5], [9]])
    cache.retire(all[1])
    expect(cache.find([1, 2, 4])).toEqual({ sequence: all[1], count: 3 })
    expect(cache.find([1, 2, 3, 9])).toEqual({ sequence: all[0], count: 3 })
    expect(cache.find([9, 1])).toEqual({ sequence: all[2], count: 1 })
    expect(cache.find([4])).toBeUndefined()
    expect(cache.find([])).toBeUndefined()
  })

  it('evicts the least recently used sequence, and none that runs', () => {
    const [pages, cache] = [new PagePool(pool, 64, 10), new PrefixCache(true)]
    const [first, second, running] = fill(cache, pages, [range(0, 100), range(1000, 100), [7]])
    cache.retire(first)
    cache.retire(second)
    expect(cache.find([0, 1])?.sequence).toBe(first)
    expect(cache.evict()).toBe(true)
    expect([first.pages.length, second.pages.length]).toEqual([2, 0])
    expect(cache.find([1000])).toBeUndefined()
    expect(cache.evict()).toBe(true)
    expect(cache.evict()).toBe(false)
    expect(cache.find([7])?.sequence).toBe(running)
    expect(pages.held).toBe(1)
  })

  it('evicts no sequence whose pages a step uses', () => {
    const [pages, cache] = [new PagePool(pool, 64, 10), new PrefixCache(true)]
    const [sequence] = fill(cache, pages, [range(0, 100)])
    sequence.enter()
    cache.retire(sequence)
    expect(cache.evict()).toBe(false)
    sequence.leave()
    expect(cache.evict()).toBe(true)
  })

  it('keeps and finds nothing where it is off', () => {
    const [pages, cache] = [new PagePool(pool, 64, 10), new PrefixCache(false)]
    const [first, second] = fill(cache, pages, [[1, 2, 3], [4]])
    expect(cache.find([1, 2])).toBeUndefined()
    cache.retire(first)
    cache.retire(second)
    expect(pages.held).toBe(0)
  })
})

describe('PagePool', () => {
  it('gives as many pages as its budget has, and those that were released again', () => {
    const pages = new PagePool(pool, 64, 2)
    const [first, second] = [pages.take(), pages.take()]
    expect(first?.holders).toBe(1)
    expect(pages.take()).toBeUndefined()
    expect([pages.held, pages.releases]).toEqual([2, 0])
    if (second !== undefined) pages.release(second)
    expect(pages.take()).toBe(second)
    expect([pages.held, pages.releases]).toEqual([2, 1])
  })
})

describe('prefixCache', () => {
  /** Tokens that run for each prompt and one token more, for the first time and once more. */
  const costs = async (options: LoadOptions, prompts: number[][]) => {
    using model = await loadShallow(pool, options)
    const ran: number[] = []
    for (const prompt of [...prompts, ...prompts]) {
      const before = model.stats().tokens
      await collect(model.generateTokens(prompt, { maxTokens: 1 }))
      ran.push(model.stats().tokens - before)
    }
    return ran
  }
  const long = text.slice(0, 100)
  const short = text.slice(500, 510)

  it('shares what earlier prompts have computed, unless it is off', async () => {
    expect(await costs({}, [long, short])).toEqual([100, 10, 1, 1])
    expect(await costs({ prefixCache: false }, [long, short])).toEqual([100, 10, 100, 10])
  })

  it('keeps what the budget has room for', async () => {
    using model = await loadShallow(pool)
    const page = model.cacheBytes * 64
    // of 128 tokens: two pages
    const options = { maxContext: 128, kvBytes: 2 * page }
    expect(await costs(options, [long, short])).toEqual([100, 10, 100, 10])
    expect(await costs({ ...options, kvBytes: 3 * page }, [long, short])).toEqual([100, 10, 1, 10])
    expect(await costs({ ...options, kvBytes: 4 * page }, [long, short])).toEqual([100, 10, 1, 1])
  })
})

describe('Sequence', () => {
  it('shares whole pages with another one, and copies the last one', () => {
    const pages = new PagePool(pool, 64, 10)
    const first = computedSequence(pages, text.slice(0, 150))
    for (const [i, page] of first.pages.entries()) page.bytes.fill(i + 1)
    const second = new Sequence(pool, pages, text.slice(0, 200), 1000)
    second.share(first, 140)
    expect(second.computed).toBe(140)
    expect(second.pages.map((page, i) => page === first.pages[i])).toEqual([true, true, false])
    expect(second.pages[2].bytes).toEqual(first.pages[2].bytes)
    expect(first.pages.map(({ holders }) => holders)).toEqual([2, 2, 1])
    const shared = first.pages.slice(0, 2)
    first.release()
    expect(shared.map(({ holders }) => holders)).toEqual([1, 1])
    second.release()
    expect(shared.map(({ holders }) => holders)).toEqual([0, 0])
  })

  it('shares whole pages only where there is none for a copy', () => {
    const pages = new PagePool(pool, 64, 3)
    const first = computedSequence(pages, text.slice(0, 150))
    const second = new Sequence(pool, pages, text.slice(0, 150), 1000)
    second.share(first, 150)
    expect([second.computed, second.pages.length]).toEqual([128, 2])
    expect(second.reserve(129)).toBe(false)
  })

  it('keeps its pages while a step uses them, though it was released', () => {
    const pages = new PagePool(pool, 64, 10)
    const sequence = computedSequence(pages, [1])
    sequence.enter()
    sequence.release()
    expect(sequence.pages.length).toBe(1)
    sequence.leave()
    expect(sequence.pages.length).toBe(0)
  })
})
