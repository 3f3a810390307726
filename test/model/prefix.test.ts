import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { PagePool } from '#src/model/decoder/page.js'
import { PrefixCache } from '#src/model/decoder/prefix-cache.js'
import { Sequence } from '#src/model/decoder/sequence.js'
import type { LoadOptions } from '#src/model/load.js'
import type { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { collect, expectSameLogits, fixture, loadFixture, readIds, trace } from './support.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const text = [...readIds(join(fixture, 'val_ids.u16'))]

describe.each<LoadOptions>([{ kv: 'bf16' }, { kv: 'int8' }])(
  'a prompt that begins as another text did: %o',
  (options) => {
    let model: Model
    beforeEach(async () => {
      model?.dispose()
      model = await loadFixture(pool, options)
    })

    /** Generates some tokens; returns how many tokens were computed for it. */
    const cost = async (prompt: number[], maxTokens = 3) => {
      const before = model.stats().ids
      await expectSameLogits(model, prompt, await trace(model, prompt, { maxTokens }))
      // the check computes all tokens but the last once more
      return model.stats().ids - before - (prompt.length + maxTokens - 1)
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
      const answer = await collect(model.generateIds(prompt, { maxTokens: 20, ignoreEnd: true }))
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
      for await (const _ of model.generateIds(prompt)) break
      const signal = AbortSignal.timeout(1)
      await collect(model.generateIds(text.slice(300, 900), { signal })).catch(() => {})
      await cost([...prompt, 5])
      await cost(text.slice(300, 500))
      await cost(text.slice(300, 900))
    })
  },
)

describe('PrefixCache', () => {
  /** A sequence of these tokens. */
  const sequence = (pages: PagePool, ids: number[]) => {
    const made = new Sequence(pool, pages, 1000)
    made.reserve(ids.length)
    made.ids.push(...ids)
    return made
  }
  const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

  it('finds the sequence with the longest common prefix', () => {
    const [pages, cache] = [new PagePool(pool, 64, 10), new PrefixCache(10)]
    const all = [[1, 2, 3], [1, 2, 4, 5], [9]].map((ids) => sequence(pages, ids))
    for (const one of all) cache.add(one)
    cache.retire(all[1])
    expect(cache.find([1, 2, 4])).toEqual({ sequence: all[1], count: 3 })
    expect(cache.find([1, 2, 3, 9])).toEqual({ sequence: all[0], count: 3 })
    expect(cache.find([9, 1])).toEqual({ sequence: all[2], count: 1 })
    expect(cache.find([4])).toBeUndefined()
    expect(cache.find([])).toBeUndefined()
  })

  it('counts a shared page once', () => {
    const [pages, cache] = [new PagePool(pool, 64, 10), new PrefixCache(3)]
    const first = sequence(pages, range(0, 128))
    const forks = [1, 2, 3].map(() => new Sequence(pool, pages, 1000))
    for (const fork of forks) fork.fork(first, 128)
    for (const one of [first, ...forks, sequence(pages, range(500, 1))]) {
      cache.add(one)
      cache.retire(one)
    }
    expect(cache.find([500])?.count).toBe(1)
    expect(cache.find(range(0, 128))?.sequence).toBe(first)
  })

  it('evicts the oldest finished sequences, but no running one', () => {
    const [pages, cache] = [new PagePool(pool, 64, 10), new PrefixCache(4)]
    const running = sequence(pages, range(0, 300))
    cache.add(running)
    // of two pages each
    const ended = [1000, 2000, 3000].map((from) => sequence(pages, range(from, 100)))
    for (const one of ended) {
      cache.add(one)
      cache.retire(one)
    }
    expect(cache.find([1000, 1001])).toBeUndefined()
    expect(ended[0].pages).toEqual([])
    expect(cache.find([2000, 2001])?.sequence).toBe(ended[1])
    expect(cache.find([3000, 3001])?.sequence).toBe(ended[2])
    expect(cache.find([0, 1])?.sequence).toBe(running)
    cache.clear()
    expect(cache.find([3000, 3001])).toBeUndefined()
  })
})

describe('PagePool', () => {
  it('keeps up to its limit of free pages for reuse', () => {
    const pages = new PagePool(pool, 64, 2)
    const given = [pages.take(), pages.take(), pages.take()]
    for (const page of given) pages.give(page)
    const taken = [pages.take(), pages.take(), pages.take()]
    expect(taken.filter((page) => given.includes(page)).length).toBe(2)
  })
})

describe('prefixCacheBytes', () => {
  /** The tokens computed for a prompt and one token, the first time and the second. */
  const costs = async (prefixCacheBytes: number, prompts: number[][]) => {
    using model = await loadFixture(pool, { prefixCacheBytes })
    const ran: number[] = []
    for (const prompt of [...prompts, ...prompts]) {
      const before = model.stats().ids
      await collect(model.generateIds(prompt, { maxTokens: 1 }))
      ran.push(model.stats().ids - before)
    }
    return ran
  }
  const long = text.slice(0, 100)
  const short = text.slice(500, 510)

  it('of 0 keeps no finished sequence', async () => {
    expect(await costs(0, [long, short])).toEqual([100, 10, 100, 10])
  })

  it('keeps the last sequences whose pages fit', async () => {
    using model = await loadFixture(pool)
    const page = model.cacheBytes * 64
    expect(await costs(page, [short])).toEqual([10, 1])
    expect(await costs(page, [long])).toEqual([100, 100])
    expect(await costs(page - 1, [short])).toEqual([10, 10])
    // a third of it is for free pages
    expect(await costs(4 * page, [short, long])).toEqual([10, 100, 1, 1])
    expect(await costs(3 * page, [short, long])).toEqual([10, 100, 10, 100])
  })

  it('of 0 still shares the pages of a running sequence', async () => {
    using model = await loadFixture(pool, { prefixCacheBytes: 0 })
    const running = model.generateIds(long, { maxTokens: 20, ignoreEnd: true })
    await running.next()
    const before = model.stats().ids
    await collect(model.generateIds([...long, 5], { maxTokens: 1 }))
    expect(model.stats().ids - before).toBeLessThan(100)
    await running.return()
  })

  it.each([-1, 0.5, NaN, '1 GiB'])('refuses %s', async (prefixCacheBytes) => {
    const call = loadFixture(pool, { prefixCacheBytes: prefixCacheBytes as number })
    await expect(call).rejects.toThrow(/^prefixCacheBytes: expected an integer in \[0, /)
  })
})

describe('Sequence', () => {
  it('shares whole pages with its fork, and copies the last one', () => {
    const pages = new PagePool(pool, 64, 10)
    const first = new Sequence(pool, pages, 1000)
    first.reserve(150)
    first.ids.push(...text.slice(0, 150))
    for (const [i, page] of first.pages.entries()) page.bytes.fill(i + 1)
    const fork = new Sequence(pool, pages, 1000)
    fork.fork(first, 140)
    expect(fork.ids).toEqual(text.slice(0, 140))
    expect(fork.pages.map((page, i) => page === first.pages[i])).toEqual([true, true, false])
    expect(fork.pages[2].bytes).toEqual(first.pages[2].bytes)
    expect(first.pages.map(({ holders }) => holders)).toEqual([2, 2, 1])
    const shared = first.pages.slice(0, 2)
    first.release()
    expect(shared.map(({ holders }) => holders)).toEqual([1, 1])
    fork.release()
    expect(shared.map(({ holders }) => holders)).toEqual([0, 0])
  })

  it('keeps its pages while workers use them, even after release', () => {
    const pages = new PagePool(pool, 64, 10)
    const sequence = new Sequence(pool, pages, 100)
    sequence.reserve(1)
    sequence.enter()
    sequence.release()
    expect(sequence.pages.length).toBe(1)
    sequence.leave()
    expect(sequence.pages.length).toBe(0)
  })
})
