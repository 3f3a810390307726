import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { randomBits } from '#src/model/generation/philox.js'
import { seededRandom } from '#src/model/generation/random.js'
import { copySampling, type Sampling, TokenSampler } from '#src/model/generation/sampler.js'
import { PENALISED } from '#src/ops/pick-rows.js'
import { Memory } from '#src/pool/memory.js'

const prompt = [7, 3, 7]
const make = (sampling: Sampling) =>
  new TokenSampler(new Memory(null), sampling, prompt, 10, undefined)

/** Which logits are changed for the token at the next position: by token, whether they are penalised, and the addend. */
function adjustmentsOf(sampler: TokenSampler): [number, boolean, number][] {
  const { adjustments } = sampler.at(3)
  const floats = new Float32Array(adjustments.buffer, adjustments.byteOffset, adjustments.length)
  return Array.from({ length: adjustments.length / 2 }, (_, i) => [
    adjustments[2 * i] % PENALISED,
    adjustments[2 * i] >= PENALISED,
    floats[2 * i + 1],
  ])
}

describe('TokenSampler', () => {
  it('takes the likeliest token by default', () => {
    const expected = { temperature: 0, topK: 0, topP: 1, minP: 0, penalty: 1 }
    expect(make({}).at(3)).toMatchObject(expected)
  })

  it('passes options on', () => {
    const sampling = { temperature: 0.7, topK: 5, topP: 0.9, minP: 0.1, repetitionPenalty: 1.3 }
    const expected = { temperature: 0.7, topK: 5, topP: 0.9, minP: 0.1, penalty: 1.3 }
    expect(make(sampling).at(3)).toMatchObject(expected)
  })

  it('draws by seed and position', () => {
    const draw = (seed?: number) => [3, 4, 5].map((position) => make({ seed }).at(position).random)
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    expect(draw(7)).not.toEqual(draw(7 + 2 ** 40))
    expect(new Set(draw(7)).size).toBe(3)
    expect(draw()).not.toEqual(draw())
  })

  it('penalises each token of prompt and text once', () => {
    const sampler = make({ repetitionPenalty: 2 })
    expect(adjustmentsOf(sampler)).toEqual([
      [7, true, 0],
      [3, true, 0],
    ])
    for (const token of [3, 9, 9]) sampler.accept(token)
    expect(adjustmentsOf(sampler).map(([token]) => token)).toEqual([7, 3, 9])
    expect(sampler.isForeseeable).toBe(false)
  })

  it('subtracts the frequency penalty for each time, the presence penalty once, of the text only', () => {
    const sampler = make({ frequencyPenalty: 0.5, presencePenalty: 2 })
    expect(adjustmentsOf(sampler)).toEqual([])
    for (const token of [3, 9, 9]) sampler.accept(token)
    expect(adjustmentsOf(sampler)).toEqual([
      [3, false, -2.5],
      [9, false, -3],
    ])
  })

  it('adds biases, which leave draws foreseeable', () => {
    const sampler = make({ logitBias: { 5: -Infinity, 3: 1.5 } })
    sampler.accept(3)
    expect(adjustmentsOf(sampler)).toEqual([
      [3, false, 1.5],
      [5, false, -Infinity],
    ])
    expect(sampler.isForeseeable).toBe(true)
    const both = make({ logitBias: { 3: 1.5 }, repetitionPenalty: 2, frequencyPenalty: 1 })
    both.accept(3)
    expect(adjustmentsOf(both)).toEqual([
      [3, true, 0.5],
      [7, true, 0],
    ])
  })
})

describe('copySampling', () => {
  it.each<[string, Sampling]>([
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
    ['frequencyPenalty', { frequencyPenalty: Infinity }],
    ['presencePenalty', { presencePenalty: Number.NaN }],
    ['logitBias', { logitBias: { 100: 1 } }],
    ['logitBias', { logitBias: { '-1': 1 } }],
    ['logitBias', { logitBias: [1] as unknown as Record<number, number> }],
    ['logitBias[3]', { logitBias: { 3: Infinity } }],
    ['logitBias[3]', { logitBias: { 3: Number.NaN } }],
    ['seed', { seed: -1 }],
    ['seed', { seed: 2 ** 53 }],
    ['seed', { seed: 0.5 }],
  ])('refuses a %s out of range: %o', (argument, sampling) => {
    expect(() => copySampling(sampling, 100)).toThrow(expect.objectContaining({ argument }))
    expect(() => copySampling(sampling, 100)).toThrow(ArgumentError)
  })
})

describe('randomBits', () => {
  it('is Philox2x32-10', () => {
    // the known answers of Random123
    expect(randomBits(0, 0)).toBe(0xff1dae59)
  })

  it('is uniform over positions and over seeds', () => {
    for (const draw of [(i: number) => randomBits(5, i), (i: number) => randomBits(i, 5)]) {
      const values = Array.from({ length: 10_000 }, (_, i) => draw(i))
      expect(values.every((bits) => Number.isInteger(bits) && bits >= 0 && bits < 2 ** 32)).toBe(
        true,
      )
      const mean = values.reduce((a, b) => a + b) / values.length / 2 ** 32
      expect(mean).toBeCloseTo(0.5, 1)
      expect(new Set(values.map((bits) => bits >>> 22)).size).toBeGreaterThan(1000)
    }
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
