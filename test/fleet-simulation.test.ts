import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { simulate } from '../bench/fleet/simulate/fleet.js'
import { KvCache } from '../bench/fleet/simulate/kv-cache.js'
import { machines } from '../bench/fleet/simulate/machine.js'
import { type PolicyName, policies } from '../bench/fleet/simulate/policy.js'
import { Timeline } from '../bench/fleet/simulate/timeline.js'
import { workloads } from '../bench/fleet/simulate/workload.js'

/** Two minutes of ten workers. */
function run(policy: PolicyName) {
  return simulate({
    workers: 10,
    machines: [machines.epyc, machines.xeon],
    gateways: 2,
    workload: workloads.programs,
    arrivals: 'poisson',
    perSecond: 0.2,
    policy: (random) => policies[policy](random, {}),
    seed: 1,
    warmUp: 60,
    counted: 60,
  })
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0)

describe('the simulated fleet', () => {
  it('gives the same for the same seed, and other orders for another policy', () => {
    const result = run('dotpool')
    expect(run('dotpool')).toEqual(result)
    expect(run('random')).not.toEqual(result)
  })

  it('computes fewer tokens of prompts, and answers sooner, where prefixes are sent to who has them', () => {
    const [routed, turned] = [run('dotpool'), run('round robin')]
    const cached = ({ requests }: typeof routed) =>
      sum(requests.map(({ cachedTokens }) => cachedTokens)) /
      sum(requests.map(({ promptTokens }) => promptTokens))
    expect(cached(routed)).toBeGreaterThan(cached(turned))
    const waits = ({ requests }: typeof routed) =>
      sum(requests.map(({ sent, firstToken }) => (firstToken || 120_000) - sent)) / requests.length
    expect(waits(routed)).toBeLessThan(waits(turned))
  })

  it('lets things happen in the order of their times, and of their making where those are equal', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9)), (delays) => {
        const timeline = new Timeline()
        const happened: [time: number, order: number][] = []
        for (const [i, delay] of delays.entries()) {
          timeline.after(delay, () => happened.push([timeline.now, i]))
        }
        timeline.run(10)
        const expected = delays.map((delay, i): [number, number] => [delay, i])
        expect(happened).toEqual(expected.sort(([a, i], [b, j]) => a - b || i - j))
      }),
    )
  })

  it('loses no page of a cache, and makes none, whoever shares what', () => {
    const PAGES = 12
    // a chain of blocks: two trees of prefixes, and how many more pages the answer takes
    const request = fc.record({
      tree: fc.nat(1),
      blocks: fc.nat(4),
      rest: fc.nat(3),
      isNext: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(request), (requests) => {
        const cache = new KvCache(PAGES)
        const running: { chain: number[]; shared: number; pages: number }[] = []
        const end = () => {
          const one = running.shift()
          if (one === undefined) return
          cache.publish(one.chain, one.shared, one.chain.length)
          cache.release(one.chain, one.pages - (one.chain.length - one.shared))
        }
        for (const { tree, blocks, rest, isNext } of requests) {
          const chain = Array.from({ length: blocks }, (_, i) => 10 * tree + i)
          const shared = cache.find(chain)
          const pages = blocks - shared + rest
          if (cache.take(chain, shared, pages)) running.push({ chain, shared, pages })
          if (isNext) end()
        }
        while (running.length > 0) end()
        expect(cache.take([], 0, PAGES + 1)).toBe(false)
        expect(cache.take([], 0, PAGES)).toBe(true)
      }),
    )
  })
})
