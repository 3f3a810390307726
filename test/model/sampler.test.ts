import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { seededRandom } from '#src/model/generation/random.js'
import { Sampler, type SamplerOptions } from '#src/model/generation/sampler.js'

const logits = Float32Array.of(1, 3, 2, 3, -1)

/** How often each id comes in so many draws. */
function frequencies(options: SamplerOptions, draws = 4000): number[] {
  const sampler = new Sampler({ temperature: 1, seed: 5, ...options })
  const counts = new Array(logits.length).fill(0)
  for (let i = 0; i < draws; i++) counts[sampler.pick(logits)]++
  return counts.map((count) => count / draws)
}

function softmax(temperature = 1): number[] {
  const weights = [...logits].map((logit) => Math.exp(logit / temperature))
  const sum = weights.reduce((a, b) => a + b)
  return weights.map((weight) => weight / sum)
}

describe('Sampler', () => {
  it('takes the best id, the lowest of several, where the temperature is 0', () => {
    expect(new Sampler().pick(logits)).toBe(1)
    expect(new Sampler({ temperature: 0, topK: 3 }).pick(Float32Array.of(-5, -4))).toBe(1)
  })

  it.each([0.5, 1, 2])('draws by the softmax at temperature %d', (temperature) => {
    const expected = softmax(temperature)
    for (const [id, share] of frequencies({ temperature }).entries()) {
      expect(share).toBeCloseTo(expected[id], 1)
    }
  })

  it('draws from the best topK only', () => {
    const [a, b, c, d, e] = frequencies({ topK: 3 })
    expect([a, e]).toEqual([0, 0])
    expect(Math.min(b, c, d)).toBeGreaterThan(0.1)
  })

  it('draws from the smallest set of probability topP only', () => {
    // 0.40 + 0.40 < 0.9 < 0.40 + 0.40 + 0.15
    expect(frequencies({ topP: 0.9 }).map((share) => share > 0)).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
    expect(frequencies({ topP: 0.7 })[2]).toBe(0)
    // of the best two, each has a half
    expect(frequencies({ topK: 2, topP: 0.4 })[2]).toBe(0)
  })

  it('repeats itself for a seed and differs without one', () => {
    const draw = (seed?: number) => {
      const sampler = new Sampler({ temperature: 5, seed })
      return Array.from({ length: 40 }, () => sampler.pick(logits)).join('')
    }
    expect(draw(7)).toBe(draw(7))
    expect(draw(7)).not.toBe(draw(8))
    expect(draw()).not.toBe(draw())
  })

  it('refuses options out of range, and NaN', () => {
    for (const options of [
      { temperature: -1 },
      { temperature: Number.NaN },
      { topK: 0 },
      { topK: 1.5 },
      { topP: 0 },
      { topP: 1.1 },
      { seed: -1 },
      { seed: 2 ** 32 },
    ]) {
      expect(() => new Sampler(options)).toThrow(ArgumentError)
    }
    expect(() => new Sampler().pick(Float32Array.of(1, Number.NaN))).toThrow('NaN at id 1')
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
