import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RopeConfig } from '#src/model/config/rope-config.js'
import { ropeFrequencies, rotationTable } from '#src/model/decoder/rope-frequencies.js'

/** A relative error of a few float32 roundings. */
const CLOSE = 4e-7

function expectClose(actual: ArrayLike<number>, expected: number[]): void {
  expect(actual.length).toBe(expected.length)
  for (const [i, value] of expected.entries()) {
    if (Math.abs(actual[i] - value) > CLOSE * Math.abs(value)) {
      expect.fail(`element ${i}: ${actual[i]} is not ${value}`)
    }
  }
}

const plain = (headDim: number, theta: number) =>
  Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim))

const llama32: RopeConfig = {
  type: 'llama3',
  theta: 500_000,
  factor: 32,
  lowFreqFactor: 1,
  highFreqFactor: 4,
  originalMaxPositionEmbeddings: 8192,
}

const yarn: RopeConfig = {
  type: 'yarn',
  theta: 1e6,
  factor: 4,
  originalMaxPositionEmbeddings: 32_768,
  attentionFactor: undefined,
  mscale: undefined,
  mscaleAllDim: undefined,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
}

describe('frequencies', () => {
  it('by default fall from 1 by powers of theta', () => {
    const { frequencies, attentionFactor } = ropeFrequencies(128, { type: 'default', theta: 1e6 })
    expectClose(frequencies, plain(128, 1e6))
    expect(attentionFactor).toBe(1)
  })

  it('linear: positions are divided by the factor', () => {
    const linear = { type: 'linear', theta: 1e4, factor: 3 } as const
    expectClose(
      ropeFrequencies(64, linear).frequencies,
      plain(64, 1e4).map((f) => f / 3),
    )
  })

  it('longrope: each is divided by its factor', () => {
    const factors = Array.from({ length: 32 }, (_, i) => 1 + i / 4)
    const longrope = { type: 'longrope', theta: 1e4, factors } as const
    expectClose(
      ropeFrequencies(64, longrope).frequencies,
      plain(64, 1e4).map((f, i) => f / factors[i]),
    )
  })

  it('dynamic: theta grows with the length, beyond the original one', () => {
    const dynamic = {
      type: 'dynamic',
      theta: 1e4,
      factor: 2,
      originalMaxPositionEmbeddings: 100,
    } as const
    for (const position of [0, 50, 99]) {
      expectClose(ropeFrequencies(8, dynamic, position).frequencies, plain(8, 1e4))
    }
    // at 300 positions: theta * (2 * 3 - 1)^(8/6)
    expectClose(ropeFrequencies(8, dynamic, 299).frequencies, plain(8, 1e4 * 5 ** (8 / 6)))
    expect([...ropeFrequencies(2, dynamic, 299).frequencies]).toEqual([1])
  })

  it('llama3: as Llama 3.2 1B has them', () => {
    const { frequencies, attentionFactor } = ropeFrequencies(64, llama32)
    const base = plain(64, 500_000)
    const expected = base.map((f) => {
      const wavelength = (2 * Math.PI) / f
      if (wavelength < 8192 / 4) return f
      if (wavelength > 8192) return f / 32
      const smooth = (8192 / wavelength - 1) / (4 - 1)
      return ((1 - smooth) * f) / 32 + smooth * f
    })
    expectClose(frequencies, expected)
    // the bands: 15 pairs stay, 3 are blended, 14 are divided by 32
    expect(expected.map((f, i) => f / base[i]).filter((r) => r === 1).length).toBe(15)
    expectClose(
      frequencies.slice(18),
      base.slice(18).map((f) => f / 32),
    )
    expect(frequencies[15]).toBeCloseTo(0.00129, 5) // of 0.00213
    expect(attentionFactor).toBe(1)
  })

  it('yarn: the first pairs stay, the last are divided by the factor, a ramp between', () => {
    const { frequencies, attentionFactor } = ropeFrequencies(128, yarn)
    const base = plain(128, 1e6)
    // pair p turns 32768 * f / 2 pi times: 32 times at p = 23.59, once at p = 39.65
    const expected = base.map((f, i) => {
      const ramp = Math.min(Math.max((i - 23) / (40 - 23), 0), 1)
      return (f / 4) * ramp + f * (1 - ramp)
    })
    expectClose(frequencies, expected)
    expect(frequencies[23]).toBe(
      ropeFrequencies(128, { type: 'default', theta: 1e6 }).frequencies[23],
    )
    expect(attentionFactor).toBe(0.1 * Math.log(4) + 1)
  })

  it('yarn: without truncation the ramp begins and ends between pairs', () => {
    const pair = (turns: number) => (64 * Math.log(32_768 / (turns * 2 * Math.PI))) / Math.log(1e6)
    const [first, last] = [pair(32), pair(1)]
    const expected = plain(128, 1e6).map((f, i) => {
      const ramp = Math.min(Math.max((i - first) / (last - first), 0), 1)
      return (f / 4) * ramp + f * (1 - ramp)
    })
    expectClose(ropeFrequencies(128, { ...yarn, truncate: false }).frequencies, expected)
  })

  it('yarn: the attention factor is given, or follows from the mscales', () => {
    const factor = (changes: object) =>
      ropeFrequencies(64, { ...yarn, factor: 40, ...changes }).attentionFactor
    expect(factor({ attentionFactor: 1.25, mscale: 1, mscaleAllDim: 1 })).toBe(1.25)
    expect(factor({ mscale: 0.8, mscaleAllDim: 0.8 })).toBe(1)
    expect(factor({ mscale: 1, mscaleAllDim: 0.5 })).toBeCloseTo(
      (0.1 * Math.log(40) + 1) / (0.05 * Math.log(40) + 1),
      12,
    )
    expect(factor({ mscale: 1, mscaleAllDim: 0 })).toBeCloseTo(0.1 * Math.log(40) + 1, 12)
    expect(factor({ factor: 1 })).toBe(1)
  })
})

describe('rotationTable', () => {
  it('holds cosines and sines of float32 angles, times the attention factor', () => {
    const { cos, sin } = rotationTable(128, yarn, 1000, 1003)
    const { frequencies, attentionFactor } = ropeFrequencies(128, yarn)
    expect(cos.length).toBe(3 * 64)
    for (const [at, i, p] of [
      [0, 0, 1000],
      [63, 63, 1000],
      [64 + 5, 5, 1001],
      [128 + 31, 31, 1002],
    ]) {
      const angle = Math.fround(p * frequencies[i])
      expect(cos[at]).toBeCloseTo(Math.cos(angle) * attentionFactor, 6)
      expect(sin[at]).toBeCloseTo(Math.sin(angle) * attentionFactor, 6)
    }
  })

  const ropes: RopeConfig[] = [
    { type: 'default', theta: 1e4 },
    { type: 'linear', theta: 1e4, factor: 2 },
    { type: 'dynamic', theta: 1e4, factor: 4, originalMaxPositionEmbeddings: 20 },
    llama32,
    yarn,
  ]

  it('does not depend on how it is divided', () => {
    const cut = fc.tuple(fc.constantFrom(...ropes), fc.nat(40), fc.nat(40), fc.nat(40))
    fc.assert(
      fc.property(cut, ([rope, ...points]) => {
        const [from, middle, to] = points.sort((a, b) => a - b)
        const whole = rotationTable(16, rope, from, to)
        const parts = [rotationTable(16, rope, from, middle), rotationTable(16, rope, middle, to)]
        for (const key of ['cos', 'sin'] as const) {
          expect(whole[key]).toEqual(Float32Array.of(...parts[0][key], ...parts[1][key]))
        }
      }),
    )
  })
})
