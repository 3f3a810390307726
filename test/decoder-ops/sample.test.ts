import type { Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BAD_ROW, OpKind } from '#src/native/layout.js'
import { PENALISED, type SampleOptions, SampleOutcome, SampleRows } from '#src/ops/sample-rows.js'
import { exp } from '#src/reference/exp.js'
import { sampleShare } from '#src/reference/sample.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'
import { runOp, share, shareWords, whole } from './support.js'

const { fround } = Math
const INFINITY = Number.POSITIVE_INFINITY

const plain: SampleOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  penalty: 1,
  random: 0,
  adjustments: new Uint32Array(0),
}

/** The sampler written plainly, without regard for speed: sort, then cut the list three times. */
function sampleReference(source: Float32Array, options: SampleOptions): number {
  const logits = source.slice()
  const penalty = fround(options.penalty)
  const { adjustments } = options
  const addends = new Float32Array(adjustments.buffer, adjustments.byteOffset, adjustments.length)
  for (let i = 0; i < adjustments.length; i += 2) {
    const id = adjustments[i] % PENALISED
    const isPenalised = adjustments[i] >= PENALISED
    if (isPenalised) logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty
    logits[id] = logits[id] + addends[i + 1]
  }
  for (let id = 0; id < logits.length && options.mask !== undefined; id++) {
    if (((options.mask.words[1 + (id >> 5)] >>> (id & 31)) & 1) === 0) logits[id] = -INFINITY
  }
  const best = Math.max(...logits)
  if (best === -INFINITY) return -1
  if (options.temperature === 0) return logits.indexOf(best)
  const weightOf = (logit: number) => {
    if (!Number.isFinite(best)) return logit === best ? 2 ** 30 : 0
    const relative = fround(fround(logit - best) / fround(options.temperature))
    return Math.trunc(exp(relative) * 2 ** 30)
  }
  let list = [...logits].map((logit, id) => ({ id, weight: weightOf(logit) }))
  const ofList = () => list.reduce((sum, { weight }) => sum + weight, 0)
  list = list.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight)
  if (options.topK > 0 && options.topK < list.length) {
    const last = list[options.topK - 1].weight
    list = list.filter(({ weight }) => weight >= last)
  }
  if (options.topP < 1) {
    const goal = Math.ceil(fround(options.topP) * ofList())
    let sum = 0
    const last = list.find(({ weight }) => {
      sum += weight
      return sum >= goal
    })
    list = list.filter(({ weight }) => weight >= (last?.weight ?? 0))
  }
  list = list.filter(({ weight }) => weight >= fround(options.minP) * 2 ** 30)
  const target = (BigInt(options.random) * BigInt(ofList())) >> 32n
  let sum = 0
  for (const { id, weight } of list.sort((a, b) => a.id - b.id)) {
    sum += weight
    if (sum > target) return id
  }
  return -1
}

const logitsOf = {
  ordinary: (random: () => number) => random() * 20 - 10,
  tied: (random: () => number) => Math.floor(random() * 5),
  'far apart': (random: () => number) => (random() - 0.5) * 6e38,
  partly: (random: () => number) => (random() < 0.3 ? -INFINITY : random() * 6),
  infinite: (random: () => number) => (random() < 0.3 ? INFINITY : random() * 6),
  none: () => -INFINITY,
}

const addends = [0, 1.5, -2, -INFINITY]

const cases = fc.record({
  m: fc.integer({ min: 1, max: 6 }),
  n: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1000, max: 1400 })),
  kind: fc.constantFrom(...(Object.keys(logitsOf) as (keyof typeof logitsOf)[])),
  temperature: fc.constantFrom(0, 0.2, 0.7, 1, 3),
  topK: fc.constantFrom(0, 1, 5, 30, 1200),
  topP: fc.constantFrom(0, 0.3, 0.9, 0.99, 1),
  minP: fc.constantFrom(0, 1e-8, 0.05, 1),
  penalty: fc.constantFrom(1, 1.2, 0.5),
  random: fc.oneof(fc.nat(2 ** 31 - 1), fc.constant(2 ** 32 - 1)),
  seed: fc.integer(),
})

/** A dp_adjustment [] of these, where workers see it. */
function adjust(pool: Pool, list: readonly [id: number, addend: number][]): Uint32Array {
  const words = shareWords(pool, new Array(2 * list.length).fill(0))
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length)
  for (const [i, [id, addend]] of list.entries()) {
    words[2 * i] = id
    floats[2 * i + 1] = addend
  }
  return words
}

const argsOf = (rows: SampleRows, logits: Float32Array) => ({
  logits,
  samples: rows.words,
  adjustments: rows.adjustments,
  copies: rows.copies,
  masks: rows.masks,
  candidates: rows.candidates,
})

function run(pool: Pool, logits: Float32Array, rows: SampleRows): Promise<number> {
  const m = rows.adjustments.length
  return runOp(pool, { kind: OpKind.sample, m, n: logits.length / m, logits, samples: rows })
}

/** Asserts what a row tells of logits as they came: the three likeliest ids, and the one that was sampled. */
function expectLogProbs(rows: SampleRows, m: number, logits: Float32Array, id: number): void {
  const told = rows.logProbs(m)
  const best = Math.max(...logits)
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0)
  const expected = (id: number) => {
    if (best < INFINITY) return logits[id] - best - Math.log(total)
    return logits[id] === best ? 0 : -INFINITY
  }
  const ids = [...logits.keys()].filter((id) => logits[id] > -INFINITY)
  const top = ids.sort((a, b) => logits[b] - logits[a] || a - b).slice(0, 3)
  expect(told?.top.map(({ id }) => id)).toEqual(top)
  const sampled = { id, logProb: told?.logProb }
  for (const { id, logProb } of [sampled, ...(told?.top ?? [])]) {
    if (Number.isFinite(expected(id))) expect(logProb).toBeCloseTo(expected(id), 4)
    else expect(logProb).toBe(expected(id))
  }
}

describe.each(isas)('sampling on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 3 })
  })
  afterAll(async () => await pool.close())

  it('samples what a plain sampler samples', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ m, n, kind, seed, ...options }) => {
        const random = randomNumbers(seed)
        const logits = new Float32Array(m * n).map(() => logitsOf[kind](random))
        const rows = new SampleRows(pool, m)
        const asked = rows.adjustments.map((_, i): SampleOptions => {
          const ids = [...new Set([0, n - 1, Math.floor(random() * n)])]
          const adjustments = adjust(
            pool,
            ids.map((id) => [id + (random() < 0.5 ? PENALISED : 0), addends[id % addends.length]]),
          )
          const copy = share(pool, new Float32Array(n))
          const logProbs = random() < 0.5 ? undefined : { count: 3, copy }
          const words = Array.from({ length: Math.ceil(n / 32) }, () => random() * 2 ** 32)
          const mask =
            random() < 0.5 ? undefined : { words: shareWords(pool, [i, ...words]), tag: i }
          return { ...options, random: (options.random + i) >>> 0, adjustments, logProbs, mask }
        })
        asked.forEach((sample, i) => {
          rows.sample(i, sample)
        })
        const fault = await run(pool, share(pool, logits), rows)
        const sampled = asked.map((_, i) => rows.sampled(i))
        const rowsOf = asked.map((_, i) => logits.subarray(i * n, (i + 1) * n))
        const ids = sampled.map(({ outcome, id }) => (outcome === SampleOutcome.done ? id : -1))
        expect(ids).toEqual(asked.map((sample, i) => sampleReference(rowsOf[i], sample)))
        expect(fault > 0).toBe(ids.includes(-1))
        for (const [i, { logProbs }] of asked.entries()) {
          if (logProbs === undefined) expect(rows.logProbs(i)).toBeUndefined()
          else if (ids[i] >= 0) expectLogProbs(rows, i, rowsOf[i], ids[i])
        }
      }),
      { numRuns: isa === 'typescript' ? 15 : 120 },
    )
  })

  it('samples each token as often as its probability says', async () => {
    const [n, samples] = [6, isa === 'typescript' ? 400 : 4000]
    const logits = Float32Array.of(1, 0, -1, 2, 1.5, -3)
    const random = randomNumbers(11)
    const batch = 40
    const counts = new Array<number>(n).fill(0)
    for (let done = 0; done < samples; done += batch) {
      const rows = new SampleRows(pool, batch)
      for (let i = 0; i < batch; i++) rows.sample(i, { ...plain, random: random() * 2 ** 32 })
      const all = new Float32Array(batch * n)
      for (let i = 0; i < batch; i++) all.set(logits, i * n)
      await run(pool, share(pool, all), rows)
      for (let i = 0; i < batch; i++) counts[rows.sampled(i).id]++
    }
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
    const chiSquare = counts.reduce((sum, count, id) => {
      const expected = (samples * Math.exp(logits[id])) / total
      return sum + (count - expected) ** 2 / expected
    }, 0)
    // with 5 degrees of freedom, one in a thousand lies above
    expect(chiSquare).toBeLessThan(20.5)
  })

  it('scores tokens with the bits of the reference', async () => {
    const [m, n] = [3, 700]
    const random = randomNumbers(2)
    const logits = share(
      pool,
      new Float32Array(m * n).map(() => random() * 30 - 15),
    )
    const [rows, expected] = [new SampleRows(pool, m), new SampleRows(pool, m)]
    for (let i = 0; i < m; i++) {
      rows.score(i, i * 100)
      expected.score(i, i * 100)
    }
    await run(pool, logits, rows)
    sampleShare({ ...argsOf(expected, logits), ...whole })
    expectSameBits(new Float32Array(rows.words), new Float32Array(expected.words))
    for (let i = 0; i < m; i++) {
      const row = logits.subarray(i * n, (i + 1) * n)
      const { logit, maximum, sum } = rows.scored(i)
      const all = row.reduce((total, l) => total + Math.exp(l - maximum), 0)
      expect([logit, maximum]).toEqual([row[i * 100], Math.max(...row)])
      expect(sum / all).toBeCloseTo(1, 5)
    }
  })

  it('names a row with a NaN, and samples from the others', async () => {
    const logits = share(pool, Float32Array.of(1, 2, 0, Number.NaN, 5, 4, Number.NaN, 0))
    const rows = new SampleRows(pool, 4)
    for (let i = 0; i < 3; i++) rows.sample(i, { ...plain, temperature: 0 })
    expect(await run(pool, logits, rows)).toBe(2)
    expect([0, 1, 2].map((i) => rows.sampled(i).outcome)).toEqual([1, 2, 1])
    expect([0, 2].map((i) => rows.sampled(i).id)).toEqual([1, 0])
    rows.skip(1)
    expect(await run(pool, logits, rows)).toBe(0)
    rows.score(3, 1)
    expect(await run(pool, logits, rows)).toBe(4)
  })

  it('samples nothing from a row whose logits are all -Infinity', async () => {
    for (const temperature of [0, 1]) {
      const logits = share(pool, Float32Array.of(-INFINITY, -INFINITY, 1, -INFINITY))
      const rows = new SampleRows(pool, 2)
      for (let i = 0; i < 2; i++) rows.sample(i, { ...plain, temperature })
      expect(await run(pool, logits, rows)).toBe(1)
      expect(rows.sampled(0).outcome).toBe(SampleOutcome.masked)
      expect(rows.sampled(1)).toEqual({ outcome: SampleOutcome.done, id: 0 })
    }
  })

  it('samples nothing where the mask is not the one that is meant yet', async () => {
    const logits = share(pool, Float32Array.of(1, 2, 3, 4))
    const words = shareWords(pool, [6, 0b01])
    const copy = share(pool, new Float32Array(2))
    const rows = new SampleRows(pool, 2)
    for (const logProbs of [undefined, { count: 1, copy }]) {
      rows.sample(0, { ...plain, logProbs, mask: { words, tag: 7 } })
      rows.sample(1, { ...plain, temperature: 0, logProbs, mask: { words, tag: 6 } })
      expect(await run(pool, logits, rows)).toBe(1)
      expect(rows.sampled(0).outcome).toBe(SampleOutcome.late)
      expect([...logits.subarray(0, 2)]).toEqual([1, 2])
      expect(rows.sampled(1)).toEqual({ outcome: SampleOutcome.done, id: 0 })
    }
  })

  it('names a row whose token has no logit, and skips it', async () => {
    const ask: Record<string, (rows: SampleRows) => void> = {
      score: (rows) => rows.score(1, 2),
      adjustment: (rows) => {
        rows.sample(1, {
          ...plain,
          adjustments: adjust(pool, [
            [0, 1],
            [2 + PENALISED, 0],
          ]),
        })
      },
    }
    for (const askFor of Object.values(ask)) {
      const logits = share(pool, Float32Array.of(1, 2, 3, 4))
      const rows = new SampleRows(pool, 2)
      rows.sample(0, { ...plain, temperature: 0 })
      askFor(rows)
      expect(await run(pool, logits, rows)).toBe(BAD_ROW + 1)
      expect(rows.sampled(0)).toEqual({ outcome: SampleOutcome.done, id: 1 })
      expect(rows.sampled(1).outcome).toBe(SampleOutcome.outside)
      expect([...logits.subarray(2)]).toEqual([3, 4])
    }
  })
})
