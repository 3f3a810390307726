import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { seededRandom } from '#src/model/generation/random.js'
import { Sampler, type Sampling } from '#src/model/generation/sampler.js'
import { Memory } from '#src/pool/memory.js'

const make = (sampling: Sampling, seed?: number) =>
  new Sampler(new Memory(null), sampling, seed, [7, 3, 7], 10)

describe('Sampler', () => {
  it('is greedy by default', () => {
    expect(make({}).next()).toMatchObject({ temperature: 0, topK: 0, topP: 1, minP: 0, penalty: 1 })
  })

  it('passes sampling options on', () => {
    const sampling = { temperature: 0.7, topK: 5, topP: 0.9, minP: 0.1, repetitionPenalty: 1.3 }
    const expected = { temperature: 0.7, topK: 5, topP: 0.9, minP: 0.1, penalty: 1.3 }
    expect(make(sampling).next()).toMatchObject(expected)
  })

  it('uses the same random numbers for a seed, and others without one', () => {
    const draw = (seed?: number) => {
      const sampler = make({}, seed)
      return Array.from({ length: 5 }, () => sampler.next().random)
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    expect(draw()).not.toEqual(draw())
    expect(draw().every((bits) => Number.isInteger(bits) && bits >= 0 && bits < 2 ** 32)).toBe(true)
  })

  it('lists each token of the sequence once, where a penalty needs it', () => {
    const penalising = make({ repetitionPenalty: 2 })
    expect([...penalising.next().seen]).toEqual([7, 3])
    for (const id of [3, 9, 9, 7]) penalising.accept(id)
    expect([...penalising.next().seen]).toEqual([7, 3, 9])
    const indifferent = make({})
    indifferent.accept(9)
    expect(indifferent.next().seen.length).toBe(0)
  })

  it.each<[string, Sampling, number?]>([
    ['temperature', { temperature: -1 }],
    ['temperature', { temperature: Number.NaN }],
    ['temperature', { temperature: Infinity }],
    ['temperature', { temperature: '1' as unknown as number }],
    ['topK', { topK: 0 }],
    ['topK', { topK: 1.5 }],
    ['topP', { topP: 0 }],
    ['topP', { topP: 1.1 }],
    ['minP', { minP: -0.1 }],
    ['minP', { minP: 1.1 }],
    ['repetitionPenalty', { repetitionPenalty: 0 }],
    ['repetitionPenalty', { repetitionPenalty: 1e-60 }], // 0 in float32
    ['repetitionPenalty', { repetitionPenalty: Number.NaN }],
    ['seed', {}, -1],
    ['seed', {}, 2 ** 32],
    ['seed', {}, 0.5],
  ])('refuses a %s out of range: %o %s', (argument, sampling, seed) => {
    expect(() => make(sampling, seed)).toThrow(expect.objectContaining({ argument }))
    expect(() => make(sampling, seed)).toThrow(ArgumentError)
  })
})

describe('seededRandom', () => {
  it('is uniform in [0, 1) and differs between neighbouring seeds', () => {
    const random = seededRandom(0)
    const values = Array.from({ length: 10_000 }, random)
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true)
    expect(values.reduce((a, b) => a + b) / values.length).toBeCloseTo(0.5, 1)
    expect(Math.abs(seededRandom(1)() - seededRandom(2)())).toBeGreaterThan(1e-3)
  })
})
