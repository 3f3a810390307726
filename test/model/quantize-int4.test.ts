import { ArgumentError, type Int4Weight, type Pool, quantizeInt4, Tensor } from 'dotpool'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { floatToBf16 } from '#src/bf16.js'
import { Int4Quantizer } from '#src/model/quantization/int4-quantizer.js'
import { checkInt4, decodeInt4, INT4_GROUP } from '#src/reference/int4.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'

/** Weights [N, K], often with a tail, and moments [K]. */
const cases = fc
  .record({
    N: fc.integer({ min: 1, max: 5 }),
    K: fc.integer({ min: 1, max: 100 }),
    seed: fc.integer(),
    size: fc.constantFrom(1e-6, 0.02, 1, 1e20),
  })
  .map(({ N, K, seed, size }) => {
    const next = randomNumbers(seed)
    const weight = Float32Array.from({ length: N * K }, () => size * (next() + next() - 1))
    const moments = Float64Array.from({ length: K }, () => next() ** 8)
    return { N, K, weight, moments }
  })

/** The sum over k of h[k] (w[k] - s q[k])^2 of each channel. */
function errorsOf(
  weight: Float32Array,
  q: Int8Array,
  scale: Float32Array,
  h: Float64Array,
): number[] {
  const K = h.length
  return Array.from(scale, (s, n) =>
    h.reduce((sum, hk, k) => sum + hk * (weight[n * K + k] - s * q[n * K + k]) ** 2, 0),
  )
}

/** A channel's scale from its largest weight, and the least multiplier that reaches every weight of a group. */
function plainErrors(weight: Float32Array, N: number, h: Float64Array): number[] {
  const K = h.length
  return Array.from({ length: N }, (_, n) => {
    const row = weight.subarray(n * K, (n + 1) * K)
    const absmax = Math.max(1e-8, ...row.map(Math.abs))
    const scale = Math.fround(absmax / 112)
    let sum = 0
    for (let from = 0; from < K; from += INT4_GROUP) {
      const group = row.subarray(from, from + INT4_GROUP)
      const m = Math.min(16, Math.max(1, Math.ceil(Math.max(...group.map(Math.abs)) / 7 / scale)))
      for (const [k, w] of group.entries()) {
        const v = Math.min(7, Math.max(-8, Math.round(w / (scale * m))))
        sum += h[from + k] * (w - v * scale * m) ** 2
      }
    }
    return sum
  })
}

/** The moments as they count: 1 % of their mean is added to each. */
function damped(moments: Float64Array): Float64Array {
  const mean = moments.reduce((sum, h) => sum + h, 0) / moments.length
  return moments.map((h) => h / mean + 0.01)
}

async function quantizeOn(
  pool: Pool,
  weight: Float32Array | Uint16Array,
  { inFeatures: K, outFeatures, moments }: Parameters<typeof quantizeInt4>[1],
) {
  await using quantizer = new Int4Quantizer(pool)
  const read = async (first: number, last: number) => weight.slice(first * K, last * K)
  const source = { bytesPerElement: weight.BYTES_PER_ELEMENT, read }
  return await quantizer.quantize(source, { inFeatures: K, outFeatures }, moments)
}

describe('quantizeInt4', () => {
  it('is never worse than a plain choice, with moments or without, and decodes to int8', () => {
    fc.assert(
      fc.property(cases, fc.boolean(), ({ N, K, weight, moments }, isWeighted) => {
        const shape = { inFeatures: K, outFeatures: N }
        const options = isWeighted ? { ...shape, moments } : shape
        const { weight: int4, scale } = quantizeInt4(weight, options)
        checkInt4(int4, shape)
        const h = isWeighted ? damped(moments) : new Float64Array(K).fill(1)
        const errors = errorsOf(weight, decodeInt4(int4, shape), scale, h)
        for (const [n, plain] of plainErrors(weight, N, h).entries()) {
          expect(errors[n]).toBeLessThanOrEqual(plain * (1 + 1e-5))
        }
      }),
    )
  })

  it('keeps weights that lie on its grid', () => {
    const levels = fc.array(fc.integer({ min: -8, max: 7 }), { minLength: 30, maxLength: 30 })
    const multiplier = fc.integer({ min: 1, max: 16 })
    const groups = fc.array(fc.tuple(levels, multiplier), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(groups, fc.constantFrom(1, 0.25, 0.0137), (parts, unit) => {
        const scale = Math.fround(unit)
        // the ends of the grid in each group tell its step
        const q = parts.flatMap(([v, m]) => [-8 * m, 7 * m, ...v.map((level) => level * m)])
        const weight = Float32Array.from(q, (value) => value * scale)
        const shape = { inFeatures: q.length, outFeatures: 1 }
        const { weight: int4, scale: own } = quantizeInt4(weight, shape)
        for (const [k, value] of decodeInt4(int4, shape).entries()) {
          expect(Math.abs(value * own[0] - weight[k])).toBeLessThanOrEqual(1e-5 * scale)
        }
      }),
    )
  })

  it('uses negative multipliers where the largest weights of a group are positive', () => {
    const weight = Float32Array.from({ length: 32 }, (_, k) => (k % 16) - 7)
    const shape = { inFeatures: 32, outFeatures: 1 }
    const { weight: int4, scale } = quantizeInt4(weight, shape)
    expect(int4.multipliers[0]).toBeLessThan(0)
    for (const [k, q] of decodeInt4(int4, shape).entries()) {
      expect(q * scale[0]).toBeCloseTo(weight[k], 5)
    }
  })

  it('has zeros for zeros, and for all that is small beside one huge weight', () => {
    const shape = { inFeatures: 70, outFeatures: 2 }
    const zeros = quantizeInt4(new Float32Array(140), shape)
    expect(decodeInt4(zeros.weight, shape)).toEqual(new Int8Array(140))
    expect(zeros.scale.every((s) => s > 0)).toBe(true)

    const huge = new Float32Array(140).fill(1)
    huge[3] = -3e38
    const { weight, scale } = quantizeInt4(huge, shape)
    const q = decodeInt4(weight, shape)
    expect(q[3] * scale[0]).toBeCloseTo(-3e38, -33)
    expect(q.subarray(0, 70).filter((value) => value !== 0).length).toBe(1)
    for (const value of q.subarray(70)) expect(value * scale[1]).toBeCloseTo(1, 6)
  })

  it('errs less where moments are large', () => {
    const next = randomNumbers(5)
    const shape = { inFeatures: 256, outFeatures: 8 }
    const weight = Float32Array.from({ length: 8 * 256 }, () => next() + next() + next() - 1.5)
    const moments = Float64Array.from({ length: 256 }, (_, k) => (k % 8 === 0 ? 100 : 1))
    const errorOf = (options: Parameters<typeof quantizeInt4>[1]) => {
      const { weight: int4, scale } = quantizeInt4(weight, options)
      return errorsOf(weight, decodeInt4(int4, shape), scale, moments).reduce((a, b) => a + b)
    }
    expect(errorOf({ ...shape, moments })).toBeLessThan(0.85 * errorOf(shape))
  })

  it.each(isas)('has the bits of the pool, whatever its threads, on %s', async (isa) => {
    await using one = await createPool(isa, { threads: 1 })
    await using three = await createPool(isa, { threads: 3 })
    await fc.assert(
      fc.asyncProperty(cases, fc.boolean(), async ({ N, K, weight, moments }, isWeighted) => {
        const shape = { inFeatures: K, outFeatures: N }
        const options = { ...shape, moments: isWeighted ? moments : undefined }
        const expected = quantizeInt4(weight, options)
        for (const pool of [one, three]) {
          const own = await quantizeOn(pool, weight, options)
          for (const name of ['nibbles', 'multipliers'] satisfies (keyof Int4Weight)[]) {
            expect([...own[name]]).toEqual([...expected.weight[name]])
          }
          expectSameBits(own.scale, expected.scale)
        }
      }),
      { numRuns: 50 },
    )
  })

  it.each(isas)('has the bits of the pool for bfloat16 read in chunks, on %s', async (isa) => {
    await using pool = await createPool(isa, { threads: 2 })
    const next = randomNumbers(9)
    const shape = { inFeatures: 69, outFeatures: isa === 'typescript' ? 40 : 40_000 }
    const length = shape.inFeatures * shape.outFeatures
    const bits = Uint16Array.from({ length }, () => floatToBf16(next() - 0.5))
    // of the last chunk
    const last = bits.slice(-20 * 69)
    const weight = new Tensor('bfloat16', last, [20, 69])
    const expected = quantizeInt4(weight, { ...shape, outFeatures: 20 })
    const own = await quantizeOn(pool, bits, shape)
    expect([...own.nibbles.subarray(-20 * 35)]).toEqual([...expected.weight.nibbles])
    expectSameBits(own.scale.slice(-20), expected.scale)
  })

  it.each(isas)('names the channel that is not finite, in any chunk, on %s', async (isa) => {
    await using pool = await createPool(isa, { threads: 2 })
    const shape = { inFeatures: 400, outFeatures: 3000 }
    const weight = new Float32Array(400 * 3000)
    weight[400 * 2900 + 7] = Number.POSITIVE_INFINITY
    const call = quantizeOn(pool, weight, shape)
    await expect(call).rejects.toThrow('in output channel 2900')
  })

  it('refuses what does not fit', () => {
    const shape = { inFeatures: 4, outFeatures: 2 }
    const weight = Float32Array.of(1, 2, 3, 4, 5, 6, Number.NaN, 8)
    const fails = (call: () => unknown) => expect(call)
    fails(() => quantizeInt4(weight, shape)).toThrow('in output channel 1')
    fails(() => quantizeInt4(weight.subarray(1), shape)).toThrow(ArgumentError)
    const short = new Float64Array(3)
    fails(() => quantizeInt4(weight, { ...shape, moments: short })).toThrow(/moments: .* of 4 /)
    const negative = Float64Array.of(1, 0, -1, 0)
    fails(() => quantizeInt4(weight, { ...shape, moments: negative })).toThrow('-1 at index 2')
  })
})
