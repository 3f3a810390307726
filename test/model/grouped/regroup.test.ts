import { quantizeInt4 } from 'dotpool'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { regroupShare } from '#src/model/quantization/int4-regroup.js'
import { checkInt4, decodeInt4, type Int4Weight, int4Strides } from '#src/reference/int4.js'
import { randomNumbers } from '../../support/random.js'

interface Case {
  K: number
  groupOf: Int32Array
  levels: Int8Array
  scales: Float32Array
}

/** An output channel with scales of either sign, of one or many magnitudes. */
function makeCase(blocks: number, size: number, seed: number): Case {
  const random = randomNumbers(seed)
  const K = blocks * 32 - Math.floor(random() * 20)
  const groupOf = Int32Array.from({ length: K }, (_, k) => Math.floor(k / size))
  const [spread, sign, fits] = [random() * 4, random(), random() < 0.8]
  const magnitude = () => 0.01 * Math.exp(-spread * random())
  return {
    K,
    groupOf,
    levels: Int8Array.from({ length: K }, () => Math.floor(random() * 16) - (fits ? 8 : 9)),
    scales: Float32Array.from({ length: groupOf[K - 1] + 1 }, () =>
      random() < sign ? magnitude() : -magnitude(),
    ),
  }
}

function regroup({ K, levels, scales, groupOf }: Case) {
  const stride = int4Strides(K)
  const weight = {
    nibbles: new Uint8Array(stride.nibbles),
    multipliers: new Int8Array(stride.multipliers),
  }
  const scale = new Float32Array(1)
  const task = { ...weight, scale, levels, scales, groupOf, part: 0, parts: 1 }
  return { fault: regroupShare(task), weight, scale: scale[0] }
}

/** The sum of squares of what four bits make wrong. */
function errorOf(w: Float32Array, weight: Int4Weight, scale: number): number {
  const w8 = decodeInt4(weight, { inFeatures: w.length, outFeatures: 1 })
  return w.reduce((sum, value, k) => sum + (value - w8[k] * scale) ** 2, 0)
}

/** The same where levels are kept, and the largest scale is 8, 12 or 15 times the channel's. */
function errorOfKept({ K, levels, scales, groupOf }: Case): number {
  const largest = scales.reduce((most, s) => Math.max(most, Math.abs(s)), 0)
  const errors = [8, 12, 15].map((multiple) => {
    const unit = Math.fround(largest / multiple)
    let sum = 0
    for (let k = 0; k < K; k++) {
      const s = scales[groupOf[k]]
      const m = Math.max(1, Math.round(Math.abs(s) / unit)) * Math.sign(s)
      sum += (levels[k] * (s - m * unit)) ** 2
    }
    return sum
  })
  return Math.min(...errors)
}

it('errs no more than plain ways to keep levels, and quantises what cannot be kept', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom(32, 64, 128, 1024, 48),
      fc.integer(),
      (blocks, size, seed) => {
        const made = makeCase(blocks, size, seed)
        const { K, levels, scales, groupOf } = made
        const shape = { inFeatures: K, outFeatures: 1 }
        const w = Float32Array.from(levels, (v, k) => v * scales[groupOf[k]])
        const { fault, weight, scale } = regroup(made)
        expect(fault).toBe(0)
        checkInt4(weight, shape)
        const inOneGroup = groupOf.every((group, k) => group === groupOf[k - (k % 32)])
        if (!inOneGroup || levels.some((v) => v < -8)) {
          const anew = quantizeInt4(w, shape)
          expect(weight).toEqual(anew.weight)
          expect(scale).toBe(anew.scale[0])
          return
        }
        // products with scales of 24 bits are rounded in w
        const rounding = w.reduce((sum, value) => sum + value * value, 0) * 1e-12
        const error = errorOf(w, weight, scale)
        expect(error).toBeLessThanOrEqual(errorOfKept(made) + rounding)
        const anew = quantizeInt4(w, shape)
        const errorAnew = errorOf(w, anew.weight, anew.scale[0])
        const allowed = 0.05 ** 2 * w.reduce((sum, value) => sum + value * value, 0)
        expect(error).toBeLessThanOrEqual(Math.max(errorAnew, allowed) * (1 + 1e-9))
        for (let k = 0; k < K; k++) {
          const u = (weight.nibbles[k >> 1] >> (4 * (k & 1))) & 15
          const step = scale * weight.multipliers[Math.floor(k / 32)]
          // the nearest level, or one as near
          const distance = Math.abs(w[k] - (u - 8) * step)
          for (const other of [u - 9, u - 7].filter((v) => v >= -8 && v <= 7)) {
            expect(distance).toBeLessThanOrEqual(Math.abs(w[k] - other * step) * (1 + 1e-6))
          }
        }
      },
    ),
    { numRuns: 200 },
  )
})

it('keeps levels, and is exact, where scales are multiples of one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.integer(), (blocks, seed) => {
      const made = makeCase(blocks, 32, seed)
      const random = randomNumbers(seed)
      const levels = made.levels.map((v) => Math.max(-8, v))
      const unit = 2 ** -12 * (64 + Math.floor(random() * 64))
      const scales = made.scales.map((s) => Math.sign(s) * unit * (1 + Math.floor(random() * 15)))
      const w = Float32Array.from(levels, (v, k) => v * scales[made.groupOf[k]])
      const { weight, scale } = regroup({ ...made, levels, scales })
      expect(errorOf(w, weight, scale)).toBe(0)
    }),
    { numRuns: 100 },
  )
})

it('gives zeros where all levels or all scales are zero', () => {
  const made = makeCase(3, 32, 1)
  for (const zeros of [{ levels: made.levels.fill(0) }, { scales: made.scales.fill(0) }]) {
    const { fault, weight, scale } = regroup({ ...made, ...zeros })
    expect(fault).toBe(0)
    expect(errorOf(new Float32Array(made.K), weight, scale)).toBe(0)
  }
})

it('reports a channel whose weights are not finite', () => {
  const made = makeCase(3, 32, 1)
  for (const scale of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
    made.scales[1] = scale
    expect(regroup(made).fault).toBe(1)
  }
})
