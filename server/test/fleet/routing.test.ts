import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BLOCK, chainHashes } from '#server/fleet/routing/chain-hashes.js'
import type { WorkerLoad } from '#server/fleet/routing/load.js'
import { PrefixIndex } from '#server/fleet/routing/prefix-index.js'
import { Router } from '#server/fleet/routing/router.js'
import { ServedPrefixes } from '#server/fleet/routing/served-prefixes.js'

const MINUTE = 60_000

/** The same numbers for the same seed: splitmix32. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}

/** A worker that does nothing. */
function idle(id: string, load: Partial<WorkerLoad> = {}): WorkerLoad {
  return {
    id,
    running: 0,
    waiting: 0,
    waitingTokens: 0,
    maxWaiting: 8,
    maxWaitingTokens: 4000,
    prefillRate: 200,
    decodeRate: 40,
    ...load,
  }
}

/** A router that knows these workers. */
function routerOf(workers: readonly WorkerLoad[], seed = 1): Router {
  const router = new Router({ random: seeded(seed) })
  for (const worker of workers) router.announced(worker, [], 0)
  return router
}

/** A request whose prompt has so many blocks; the same number makes the same prompt. */
function requestOf(prompt: number, blocks = 8) {
  const tokens = Array.from({ length: blocks * BLOCK + 1 }, (_, i) => prompt + i)
  return { hashes: chainHashes(tokens, 'm'), promptTokens: tokens.length }
}

describe('chain hashes', () => {
  const token = fc.integer({ min: 0, max: 200_000 })
  const tokens = fc.array(token, { maxLength: 5 * BLOCK, size: 'max' })

  it('are shared by the whole blocks that prompts have in common, and by no others', () => {
    fc.assert(
      fc.property(tokens, tokens, tokens, (common, one, other) => {
        const [a, b] = [
          [...common, ...one],
          [...common, ...other],
        ]
        const different = a.findIndex((id, i) => id !== b[i])
        const same = different < 0 ? a.length : different
        const [hashes, others] = [chainHashes(a, 'm'), chainHashes(b, 'm')]
        const shared = Math.min(Math.floor(same / BLOCK), others.length)
        expect(hashes).toHaveLength(Math.floor(a.length / BLOCK))
        expect(hashes.slice(0, shared)).toEqual(others.slice(0, shared))
        const rest = new Set(others.slice(shared))
        for (const hash of hashes.slice(shared)) expect(rest.has(hash)).toBe(false)
      }),
    )
  })

  it('are integers that JSON and a double keep', () => {
    fc.assert(
      fc.property(tokens, fc.string(), (prompt, model) => {
        const hashes = chainHashes(prompt, model)
        expect(hashes.every((hash) => Number.isSafeInteger(hash) && hash >= 0)).toBe(true)
        expect(JSON.parse(JSON.stringify(hashes))).toEqual(hashes)
      }),
    )
  })

  it('are the same of any array of tokens, and other ones for another model', () => {
    const prompt = Array.from({ length: 3 * BLOCK }, (_, i) => i * i)
    const hashes = chainHashes(prompt, 'qwen')
    expect(chainHashes(Uint32Array.from(prompt), 'qwen')).toEqual(hashes)
    const others = chainHashes(prompt, 'qwem')
    expect(hashes.some((hash) => others.includes(hash))).toBe(false)
  })

  it('differ and have all their bits for prompts that differ in one token', () => {
    const count = 20_000
    const hashes = Array.from({ length: count }, (_, i) => {
      const prompt = new Uint32Array(BLOCK)
      prompt[i % BLOCK] = 1 + Math.floor(i / BLOCK)
      return chainHashes(prompt, '')[0]
    })
    expect(new Set(hashes).size).toBe(count)
    for (let bit = 0; bit < 53; bit++) {
      const ones = hashes.filter((hash) => Math.floor(hash / 2 ** bit) % 2 === 1).length
      expect(Math.abs(ones / count - 0.5), `bit ${bit}`).toBeLessThan(0.02)
    }
  })
})

describe('the index of prefixes', () => {
  /** Prompts as paths of a small tree: hash of a node is its path. */
  const path = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 })
  const hashesOf = (steps: readonly number[]) =>
    steps.map((_, i) => Number(steps.slice(0, i + 1).join('')))
  const worker = fc.constantFrom('a', 'b', 'c')
  const event = fc.record({
    path,
    worker,
    kind: fc.constantFrom('add', 'add', 'add', 'remove'),
    millis: fc.integer({ min: 0, max: 40 }),
  })
  const LIFE = 100

  it('knows who was given which prefix lately', () => {
    fc.assert(
      fc.property(fc.array(event), path, (events, asked) => {
        const index = new PrefixIndex(LIFE, 1000)
        const times = new Map<string, number>()
        let now = 0
        for (const { path, worker, kind, millis } of events) {
          now += millis
          if (kind === 'add') index.add(hashesOf(path), worker, now)
          else index.remove(worker)
          for (const key of kind === 'remove' ? times.keys() : []) {
            if (key.startsWith(worker)) times.delete(key)
          }
          for (const hash of kind === 'add' ? hashesOf(path) : []) times.set(worker + hash, now)
        }
        const hashes = hashesOf(asked)
        const depthOf = (worker: string) =>
          hashes.filter((hash) => now - (times.get(worker + hash) ?? -LIFE - 1) <= LIFE).length
        const holders = new Map<string, number>()
        let last = hashes.length
        for (const [depth, workers] of index.holders(hashes, now)) {
          expect(depth).toBeLessThanOrEqual(last)
          last = depth
          for (const worker of workers) holders.set(worker, depth)
        }
        for (const worker of ['a', 'b', 'c']) {
          expect(index.depth(hashes, worker, now)).toBe(depthOf(worker))
          expect(holders.get(worker) ?? 0).toBe(depthOf(worker))
        }
      }),
    )
  })

  it('never holds more than it may, and keeps what was used last', () => {
    fc.assert(
      fc.property(fc.array(event), fc.integer({ min: 8, max: 20 }), (events, max) => {
        const index = new PrefixIndex(LIFE, max)
        let now = 0
        for (const { path, worker, millis } of events) {
          now += millis
          index.add(hashesOf(path), worker, now)
          expect(index.entries).toBeLessThanOrEqual(max)
        }
        const hashes = hashesOf([1, 2, 3, 1])
        index.add(hashes, 'z', now)
        expect(index.depth(hashes, 'z', now)).toBe(4)
      }),
    )
  })

  it('gives its memory back once nothing was used for a while', () => {
    const index = new PrefixIndex(LIFE, 1000)
    for (let i = 0; i < 50; i++) index.add([i, i + 0.5], `w${i % 7}`, i)
    for (const i of [2, 4, 6]) index.add([99], 'a', i * LIFE)
    expect(index.entries).toBe(2)
  })
})

describe('the router', () => {
  const load = fc.record({
    running: fc.nat(20),
    waiting: fc.nat(9),
    waitingTokens: fc.nat(5000),
    prefillRate: fc.integer({ min: 1, max: 1000 }),
  })
  const loads = fc.array(load, { maxLength: 20 }).map((all) => {
    return all.map((load, i) => idle(`w${i}`, load))
  })
  const isFull = ({ waiting, maxWaiting, waitingTokens, maxWaitingTokens }: WorkerLoad) =>
    waiting >= maxWaiting || waitingTokens > maxWaitingTokens

  it('chooses a worker that has room, may get the request and has not left, and finds one if there is', () => {
    fc.assert(
      fc.property(loads, fc.array(fc.nat(19)), fc.array(fc.nat(19)), (workers, gone, barred) => {
        const router = routerOf(workers)
        for (const { id } of workers) router.announced(idle(id), requestOf(1).hashes, 1)
        for (const worker of workers) router.announced(worker, [], 2)
        for (const i of gone) router.left(`w${i}`)
        const left = workers.filter((_, i) => !gone.includes(i))
        const open = left.filter((load) => !isFull(load)).map(({ id }) => id)
        const allowed = open.filter((id) => !barred.some((i) => id === `w${i}`))
        for (const request of [requestOf(1), requestOf(2)]) {
          const any = router.choose(request, 3)
          const choice = router.choose(request, 3, (id) => allowed.includes(id))
          if (open.length === 0) expect(any).toBeUndefined()
          else expect(open).toContain(any?.worker)
          if (allowed.length === 0) expect(choice).toBeUndefined()
          else expect(allowed).toContain(choice?.worker)
        }
        expect(router.size).toBe(left.length)
      }),
    )
  })

  it('chooses the worker that has the prefix, of however many that are as busy', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(), fc.nat(), (count, at, seed) => {
        const workers = Array.from({ length: count }, (_, i) => idle(`w${i}`, { running: 3 }))
        const router = routerOf(workers, seed)
        const { id } = workers[at % count]
        const request = requestOf(1)
        router.announced(workers[at % count], request.hashes, 1)
        const cachedTokens = request.hashes.length * BLOCK
        expect(router.choose(request, 2)).toEqual({ worker: id, cachedTokens, missedTokens: 0 })
      }),
    )
  })

  it('leaves the worker that has the prefix where its queue costs more than the prefix saves', () => {
    const request = requestOf(1)
    const saved = request.hashes.length * BLOCK
    for (const [waitingTokens, expected] of [
      [saved - 1, 'a'],
      [saved + 1, 'b'],
    ] as const) {
      const router = routerOf([idle('a'), idle('b')])
      router.announced(idle('a', { waitingTokens }), request.hashes, 1)
      const missed = expected === 'a' ? 0 : saved
      expect(router.choose(request, 2)).toMatchObject({ worker: expected, missedTokens: missed })
    }
  })

  it('tells what prefix it misses because the worker that has it is full', () => {
    const request = requestOf(1)
    const router = routerOf([idle('a'), idle('b')])
    router.announced(idle('a', { waiting: 8 }), request.hashes, 1)
    const missedTokens = request.hashes.length * BLOCK
    expect(router.choose(request, 2)).toEqual({ worker: 'b', cachedTokens: 0, missedTokens })
  })

  it('takes a prefix for forgotten after five minutes without use', () => {
    const request = requestOf(1)
    for (const [now, cachedTokens] of [
      [5 * MINUTE, request.hashes.length * BLOCK],
      [5 * MINUTE + 1, 0],
    ]) {
      const router = routerOf([idle('a')])
      router.announced(idle('a'), request.hashes, 0)
      expect(router.choose(request, now)).toMatchObject({ worker: 'a', cachedTokens })
    }
  })

  it('gives a faster machine more, and a slower one its part', () => {
    const fast = { prefillRate: 800, decodeRate: 160 }
    const router = routerOf([idle('slow'), idle('fast', fast)])
    const counts = { slow: 0, fast: 0 }
    for (let i = 0; i < 100; i++) {
      const request = requestOf(1000 * i)
      const choice = router.choose(request, 1)
      if (choice === undefined) throw new Error('no worker')
      router.sent(request, choice, 1)
      counts[choice.worker as 'slow' | 'fast']++
    }
    // as many requests there take a quarter of the time
    expect(counts.fast).toBeGreaterThan(60)
    expect(counts.slow).toBeGreaterThan(10)
  })

  it('counts what it has sent since a worker announced its load, until it has ended', () => {
    const router = routerOf([idle('a'), idle('b')])
    const sendTo = (prompt: number) => {
      const request = requestOf(prompt)
      const choice = router.choose(request, 1)
      if (choice === undefined) throw new Error('no worker')
      router.sent(request, choice, 1)
      return { request, worker: choice.worker }
    }
    const sent = [1, 2, 3, 4].map((i) => sendTo(i * 1000))
    expect(sent.map(({ worker }) => worker).sort()).toEqual(['a', 'a', 'b', 'b'])
    router.ended(sent[1].request, sent[1].worker)
    expect(sendTo(5000).worker).toBe(sent[1].worker)
  })

  it('trusts an announcement rather than what it has sent before', () => {
    const router = routerOf([idle('a'), idle('b')])
    const request = requestOf(1)
    router.sent(request, { worker: 'a', cachedTokens: 0, missedTokens: 0 }, 0)
    expect(router.choose(requestOf(1000), 1)?.worker).toBe('b')
    router.announced(idle('a'), [], 1000)
    router.announced(idle('b', { running: 1 }), [], 1000)
    expect(router.choose(requestOf(1000), 1001)?.worker).toBe('a')
    router.announced(idle('a', { running: 3 }), [], 2000)
    router.announced(idle('b', { running: 2 }), [], 2000)
    for (const _ of [1, 2]) router.ended(request, 'a')
    expect(router.choose(requestOf(1000), 2001)?.worker).toBe('a')
  })

  it('does not send what many gateways choose at once to one worker', () => {
    const workers = Array.from({ length: 64 }, (_, i) => idle(`w${i}`, { running: 2 }))
    workers[7] = idle('w7')
    const counts = new Map<string, number>()
    for (let gateway = 0; gateway < 64; gateway++) {
      const worker = routerOf(workers, gateway).choose(requestOf(1000 * gateway), 1)?.worker ?? ''
      counts.set(worker, (counts.get(worker) ?? 0) + 1)
    }
    expect(Math.max(...counts.values())).toBeLessThan(12)
    expect(counts.size).toBeGreaterThan(30)
  })
})

describe('the prefixes that a worker announces', () => {
  it('are each announced once, and at most so many at a time', () => {
    const served = new ServedPrefixes(5)
    served.add([1, 2, 3])
    served.add([1, 2, 4, 5, 6])
    expect(served.take()).toEqual([1, 2, 3, 4, 5])
    expect(served.take()).toEqual([])
    served.add([1, 2])
    expect(served.take()).toEqual([1, 2])
  })
})
