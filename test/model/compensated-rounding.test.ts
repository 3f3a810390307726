import { type Int4Weight, Pool, quantizeInt4, quantizeWeight } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bf16ToFloat32, floatToBf16 } from '#src/bf16.js'
import { BLOCK, type Factor } from '#src/model/calibration/factor.js'
import { Solver } from '#src/model/calibration/solver.js'
import { type DenseType, DenseWeight } from '#src/ops/dense-weight.js'
import { checkInt4, decodeInt4 } from '#src/reference/int4.js'
import { roundWeight } from '#src/reference/quantize.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'

/** Weights [N, K] and inputs [tokens, K]; often fewer tokens than inputs, so that H is singular. */
const cases = fc
  .record({
    N: fc.integer({ min: 1, max: 11 }),
    // up to three blocks
    K: fc.oneof(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 60, max: 150 })),
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

function hessianOf(x: Float32Array, K: number): Float32Array {
  return new Float32Array(K * K).map((_, at) => {
    const [i, j] = [Math.floor(at / K), at % K]
    let sum = 0
    for (let t = 0; t < x.length; t += K) sum += x[t + i] * x[t + j]
    return sum
  })
}

/** The mean of H[k, k]. */
function meanOf(hessian: Float32Array): number {
  const K = Math.sqrt(hessian.length)
  return hessian.reduce((sum, h, at) => (at % (K + 1) === 0 ? sum + h / K : sum), 0)
}

/** Weights [N, K], and the Hessian of inputs that share a term. */
function correlated(
  N: number,
  K: number,
  tokens = 4 * K,
): { weight: Float32Array; hessian: Float32Array } {
  const next = randomNumbers(7)
  const random = () => 2 * next() - 1
  const weight = Float32Array.from({ length: N * K }, random)
  const common = Array.from({ length: tokens }, random)
  const x = Float32Array.from({ length: tokens * K }, (_, i) => {
    return random() + 2 * common[Math.floor(i / K)]
  })
  return { weight, hessian: hessianOf(x, K) }
}

/** LDLQ by its definition; plain rounding for a channel where that loses less. */
function roundPlainly(weight: Float32Array, N: number, factor: Factor): Int8Array {
  const { d, order } = factor
  const K = d.length
  const { q: plainQ, scale } = plain(weight, N)
  const q = new Int8Array(N * K)
  for (let n = 0; n < N; n++) {
    const rounded = [false, true].map((isCompensated) => {
      const e = new Float64Array(K)
      const row = new Int8Array(K)
      let loss = 0
      for (let i = K - 1; i >= 0; i--) {
        let sum = 0
        for (let j = i + 1; j < K; j++) sum += elementOf(factor, i, j) * e[j]
        const k = order[i]
        const w = weight[n * K + k]
        row[k] = isCompensated ? roundWeight(w + sum, scale[n]) : plainQ[n * K + k]
        e[i] = w - scale[n] * row[k]
        loss += d[i] * (e[i] + sum) ** 2
      }
      return { row, loss }
    })
    q.set(rounded[1].loss <= rounded[0].loss ? rounded[1].row : rounded[0].row, n * K)
  }
  return q
}

/** R[i, j] */
function elementOf({ near, far, d }: Factor, i: number, j: number): number {
  if (i >= j) return i === j ? 1 : 0
  const isNear = Math.floor(i / BLOCK) === Math.floor(j / BLOCK)
  const stride = far.length / d.length
  return isNear ? near[i * BLOCK + (j % BLOCK)] : far[i * stride + j]
}

/** With the upper half of H alone, which is all that counts. */
function factorOf(solver: Solver, hessian: Float32Array): Promise<Factor> {
  const K = Math.sqrt(hessian.length)
  const upper = hessian.map((h, at) => (at % K < Math.floor(at / K) ? Number.NaN : h))
  const sums = new Float32Array(new SharedArrayBuffer(upper.byteLength))
  sums.set(upper)
  return solver.factor({ inFeatures: K, sums })
}

/** R^T D R with inputs in their original order: H and the damping on its diagonal. */
function productOf(factor: Factor): Float64Array {
  const { d, order } = factor
  const K = d.length
  const product = new Float64Array(K * K)
  for (let i = 0; i < K; i++) {
    for (let j = 0; j < K; j++) {
      for (let l = 0; l <= Math.min(i, j); l++) {
        product[order[i] * K + order[j]] += elementOf(factor, l, i) * d[l] * elementOf(factor, l, j)
      }
    }
  }
  return product
}

async function round(solver: Solver, weight: DenseWeight, hessian: Float32Array) {
  return await solver.round(weight, await factorOf(solver, hessian))
}

function dense(weight: Float32Array | Uint16Array, outFeatures: number): DenseWeight {
  const K = weight.length / outFeatures
  const type = weight instanceof Float32Array ? 'float32' : 'bfloat16'
  const made = new DenseWeight<DenseType>(pool, type, outFeatures, K)
  made.set(0, weight)
  return made
}

/** e H e^T of each channel. */
function losses(
  weight: Float32Array,
  { q, scale }: { q: Int8Array; scale: Float32Array },
  hessian: Float32Array | Float64Array,
): number[] {
  const K = Math.sqrt(hessian.length)
  return Array.from(scale, (s, n) => {
    const e = Array.from({ length: K }, (_, k) => weight[n * K + k] - s * q[n * K + k])
    let loss = 0
    for (const [at, h] of hessian.entries()) loss += e[Math.floor(at / K)] * h * e[at % K]
    return loss
  })
}

function plain(weight: Float32Array, outFeatures: number) {
  const { weight: q, scale } = quantizeWeight(weight, {
    inFeatures: weight.length / outFeatures,
    outFeatures,
  })
  return { q, scale }
}

let pool: Pool
let solver: Solver
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  solver = new Solver(pool)
})
afterAll(async () => {
  await solver[Symbol.asyncDispose]()
  await pool.close()
})

/** How often a property is tried: each time takes some messages to threads. */
const numRuns = 30

describe('the factor of a Hessian', () => {
  it('reproduces the Hessian, with 1 % of its mean diagonal added to the diagonal', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ K, hessian }) => {
        const mean = meanOf(hessian)
        const product = productOf(await factorOf(solver, hessian))
        for (let at = 0; at < K * K; at++) {
          const added = at % (K + 1) === 0 ? 0.01 * mean || 1 : 0
          expect(Math.abs(product[at] - hessian[at] - added)).toBeLessThan(1e-5 * (mean || 1))
        }
      }),
      { numRuns },
    )
  })
})

describe('compensated rounding', () => {
  it('equals plain rounding where inputs are uncorrelated', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 0, max: 9 }), async ({ N, K, weight }, h) => {
        const diagonal = new Float32Array(K * K).map((_, at) => (at % (K + 1) === 0 ? h : 0))
        const { q, scale } = await round(solver, dense(weight, N), diagonal)
        const expected = plain(weight, N)
        expectSameBits(q, expected.q)
        expectSameBits(scale, expected.scale)
      }),
      { numRuns },
    )
  })

  it('equals LDLQ, one input after the other in float64, but where a weight lies between levels', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ N, K, weight, hessian }) => {
        const factor = await factorOf(solver, hessian)
        const { q, scale } = await solver.round(dense(weight, N), factor)
        const expected = roundPlainly(weight, N, factor)
        let others = 0
        for (let n = 0; n < N; n++) {
          const rowOf = (matrix: Int8Array) => matrix.subarray(n * K, (n + 1) * K)
          if (rowOf(q).some((value, k) => value !== rowOf(expected)[k])) others++
          else expect(scale[n]).toBe(plain(weight, N).scale[n])
        }
        expect(others).toBeLessThanOrEqual(1)
      }),
      { numRuns },
    )
  })

  it('never changes the outputs more than plain rounding does', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ N, weight, hessian }) => {
        const factor = await factorOf(solver, hessian)
        const damped = productOf(factor)
        const own = losses(weight, await solver.round(dense(weight, N), factor), damped)
        const others = losses(weight, plain(weight, N), damped)
        for (const [n, loss] of own.entries()) {
          expect(loss).toBeLessThanOrEqual(others[n] * (1 + 1e-4) + 1e-9)
        }
      }),
      { numRuns },
    )
  })

  it('changes them less than half as much where inputs are correlated', async () => {
    const { weight, hessian } = correlated(32, 148)
    const sum = (values: number[]) => values.reduce((a, b) => a + b)
    const rounded = await round(solver, dense(weight, 32), hessian)
    const own = sum(losses(weight, rounded, hessian))
    expect(own).toBeLessThan(0.5 * sum(losses(weight, plain(weight, 32), hessian)))
  })

  it('rounds to four bits with the multipliers and scales that it is given', async () => {
    const [N, K] = [24, 148]
    const shape = { inFeatures: K, outFeatures: N }
    const { weight, hessian } = correlated(N, K)
    const factor = await factorOf(solver, hessian)
    const searched = quantizeInt4(weight, { ...shape, moments: factor.moments })
    const multipliers = pool.memory.array('int8', searched.weight.multipliers.length)
    multipliers.set(searched.weight.multipliers)
    const steps = { multipliers, scale: searched.scale }
    const { scale, ...int4 } = await solver.roundInt4(dense(weight, N), factor, steps)
    checkInt4(int4, shape)
    expectSameBits(scale, searched.scale)
    expect([...int4.multipliers]).toEqual([...searched.weight.multipliers])
    const lossOf = (rounded: Int4Weight) => {
      const q = decodeInt4(rounded, shape)
      return losses(weight, { q, scale }, hessian).reduce((a, b) => a + b)
    }
    expect(lossOf(int4)).toBeLessThan(0.6 * lossOf(searched.weight))
  })

  it.each(isas)('gives the same bits at any number of threads, on %s', async (isa) => {
    const K = isa === 'typescript' ? 70 : 600
    const { weight, hessian } = correlated(40, K, 100)
    const expected = await round(solver, dense(weight, 40), hessian)
    for (const threads of [1, 3]) {
      await using other = await createPool(isa, { threads })
      await using own = new Solver(other)
      const source = new DenseWeight(other, 'float32', 40, K)
      source.set(0, weight)
      const { q, scale } = await round(own, source, hessian)
      expectSameBits(q, expected.q)
      expectSameBits(scale, expected.scale)
    }
  })

  it('reads bfloat16, and rows with padding', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ N, weight, hessian }) => {
        const bits = Uint16Array.from(weight, floatToBf16)
        const expected = await round(solver, dense(bf16ToFloat32(bits), N), hessian)
        const { q, scale } = await round(solver, dense(bits, N), hessian)
        expectSameBits(q, expected.q)
        expectSameBits(scale, expected.scale)
      }),
      { numRuns },
    )
  })

  it('equals plain rounding where the Hessian is out of range', async () => {
    const weight = Float32Array.of(1, -0.3, 0.2, 0.7)
    const infinite = new Float32Array(4).fill(Number.POSITIVE_INFINITY)
    const { q } = await round(solver, dense(weight, 2), infinite)
    expectSameBits(q, plain(weight, 2).q)
  })

  it('names the channel whose weight is not finite', async () => {
    const weight = new Float32Array(12).fill(1)
    weight[9] = Number.NaN
    const call = round(solver, dense(weight, 6), new Float32Array(4))
    await expect(call).rejects.toThrow('in output channel 4')
  })

  it('stops when it is aborted', async () => {
    const factor = await factorOf(solver, new Float32Array(4))
    const reason = new Error('enough')
    const call = solver.round(dense(new Float32Array(12), 6), factor, AbortSignal.abort(reason))
    await expect(call).rejects.toBe(reason)
  })
})
