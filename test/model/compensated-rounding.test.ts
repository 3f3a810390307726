import { quantizeWeight } from 'dotpool'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { floatToBf16 } from '#src/bf16.js'
import {
  type Factor,
  factorShare,
  roundShare,
} from '#src/model/calibration/compensated-rounding.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'

/** Weights [N, K] and inputs [tokens, K]; often fewer tokens than inputs, so that H is singular. */
const cases = fc
  .record({
    N: fc.integer({ min: 1, max: 11 }),
    K: fc.integer({ min: 1, max: 24 }),
    tokens: fc.integer({ min: 0, max: 40 }),
    seed: fc.integer(),
  })
  .map(({ N, K, tokens, seed }) => {
    const next = randomNumbers(seed)
    const random = () => 2 * next() - 1
    const numbers = (count: number) => Float32Array.from({ length: count }, random)
    // a term that all inputs share correlates them
    const common = numbers(tokens)
    const x = numbers(tokens * K).map((value, i) => value + 2 * common[Math.floor(i / K)])
    return { N, K, weight: numbers(N * K), hessian: hessianOf(x, K) }
  })

function hessianOf(x: Float32Array, K: number): Float64Array {
  return new Float64Array(K * K).map((_, at) => {
    const [i, j] = [Math.floor(at / K), at % K]
    let sum = 0
    for (let t = 0; t < x.length; t += K) sum += x[t + i] * x[t + j]
    return sum
  })
}

const whole = { part: 0, parts: 1 }

function factorOf(hessian: Float64Array): Factor {
  const K = Math.sqrt(hessian.length)
  const factor: Factor = {
    r: new Float64Array(K * K),
    d: new Float64Array(K),
    order: new Uint32Array(K),
    moments: new Float64Array(K),
  }
  expect(factorShare({ hessian, factor, ...whole })).toBe(0)
  return factor
}

/** R^T D R with inputs in their original order: H and the damping on its diagonal. */
function productOf({ r, d, order }: Factor): Float64Array {
  const K = d.length
  const product = new Float64Array(K * K)
  const at = (l: number, i: number) => (l === i ? 1 : l < i ? r[l * K + i] : 0)
  for (let i = 0; i < K; i++) {
    for (let j = 0; j < K; j++) {
      for (let l = 0; l < K; l++) {
        product[order[i] * K + order[j]] += at(l, i) * d[l] * at(l, j)
      }
    }
  }
  return product
}

/** Rounds in `shares` shares. */
function round(
  weight: Float32Array | Uint16Array,
  N: number,
  factor: Factor,
  parts = 1,
  stride = factor.d.length,
) {
  const K = factor.d.length
  const [q, scale] = [new Int8Array(N * K), new Float32Array(N)]
  const faults = Array.from({ length: parts }, (_, part) =>
    roundShare({ factor, weight, stride, q, scale, part, parts }),
  )
  return { q, scale, faults }
}

/** e H e^T of each channel. */
function losses(
  weight: Float32Array,
  { q, scale }: { q: Int8Array; scale: Float32Array },
  hessian: Float64Array,
): number[] {
  const K = Math.sqrt(hessian.length)
  return Array.from(scale, (s, n) => {
    const e = Array.from({ length: K }, (_, k) => weight[n * K + k] - s * q[n * K + k])
    return hessian.reduce((sum, h, at) => sum + e[Math.floor(at / K)] * h * e[at % K], 0)
  })
}

function plain(weight: Float32Array, outFeatures: number) {
  const { weight: q, scale } = quantizeWeight(weight, {
    inFeatures: weight.length / outFeatures,
    outFeatures,
  })
  return { q, scale }
}

describe('the factor of a Hessian', () => {
  it('reproduces the Hessian, with 1 % of its mean diagonal added to the diagonal', () => {
    fc.assert(
      fc.property(cases, ({ K, hessian }) => {
        const mean = hessian.reduce((sum, h, at) => (at % (K + 1) === 0 ? sum + h / K : sum), 0)
        const product = productOf(factorOf(hessian))
        for (let at = 0; at < K * K; at++) {
          const added = at % (K + 1) === 0 ? 0.01 * mean || 1 : 0
          expect(product[at]).toBeCloseTo(hessian[at] + added, 9)
        }
      }),
    )
  })
})

describe('compensated rounding', () => {
  it('equals plain rounding where inputs are uncorrelated', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 0, max: 9 }), ({ N, K, weight }, h) => {
        const diagonal = new Float64Array(K * K).map((_, at) => (at % (K + 1) === 0 ? h : 0))
        const { q, scale } = round(weight, N, factorOf(diagonal))
        const expected = plain(weight, N)
        expectSameBits(q, expected.q)
        expectSameBits(scale, expected.scale)
      }),
    )
  })

  it('never changes the outputs more than plain rounding does', () => {
    fc.assert(
      fc.property(cases, ({ N, weight, hessian }) => {
        const factor = factorOf(hessian)
        const damped = productOf(factor)
        const own = losses(weight, round(weight, N, factor), damped)
        const others = losses(weight, plain(weight, N), damped)
        for (const [n, loss] of own.entries()) {
          expect(loss).toBeLessThanOrEqual(others[n] * (1 + 1e-9) + 1e-15)
        }
      }),
    )
  })

  it('changes them less than half as much where inputs are correlated', () => {
    const next = randomNumbers(7)
    const random = () => 2 * next() - 1
    const [N, K, tokens] = [32, 48, 200]
    const weight = Float32Array.from({ length: N * K }, random)
    const common = Array.from({ length: tokens }, random)
    const x = Float32Array.from({ length: tokens * K }, (_, i) => {
      return random() + 2 * common[Math.floor(i / K)]
    })
    const hessian = hessianOf(x, K)
    const sum = (values: number[]) => values.reduce((a, b) => a + b)
    const own = sum(losses(weight, round(weight, N, factorOf(hessian)), hessian))
    expect(own).toBeLessThan(0.5 * sum(losses(weight, plain(weight, N), hessian)))
  })

  it('gives the same bits with any number of shares', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 2, max: 5 }), ({ N, weight, hessian }, parts) => {
        const factor = factorOf(hessian)
        const [one, several] = [round(weight, N, factor), round(weight, N, factor, parts)]
        expectSameBits(several.q, one.q)
        expectSameBits(several.scale, one.scale)
      }),
    )
  })

  it('reads bfloat16, and rows with padding', () => {
    fc.assert(
      fc.property(cases, ({ N, K, weight, hessian }) => {
        const stride = K + 3
        const bits = new Uint16Array(N * stride)
        for (const [i, w] of weight.entries()) {
          bits[Math.floor(i / K) * stride + (i % K)] = floatToBf16(w)
        }
        const factor = factorOf(hessian)
        const rounded = weight.map((_, i) => {
          const word = Uint32Array.of(bits[Math.floor(i / K) * stride + (i % K)] << 16)
          return new Float32Array(word.buffer)[0]
        })
        const expected = round(rounded, N, factor)
        const { q, scale } = round(bits, N, factor, 1, stride)
        expectSameBits(q, expected.q)
        expectSameBits(scale, expected.scale)
      }),
    )
  })

  it('equals plain rounding where the Hessian is out of range', () => {
    const weight = Float32Array.of(1, -0.3, 0.2, 0.7)
    const { q } = round(weight, 2, factorOf(new Float64Array(4).fill(Number.POSITIVE_INFINITY)))
    expectSameBits(q, plain(weight, 2).q)
  })

  it('names the channel whose weight is not finite', () => {
    const weight = new Float32Array(12).fill(1)
    weight[9] = Number.NaN
    const { faults } = round(weight, 6, factorOf(new Float64Array(4)), 2)
    expect(faults).toEqual([0, 5])
  })
})
