import {
  ArgumentError,
  type Comparison,
  compareModels,
  DisposedError,
  type Model,
  NotANumberError,
  Pool,
} from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { divergence } from '#src/model/evaluation/divergence.js'
import { f32, loadMade, logitsOf, tinyConfig, tinyTensors } from './support.js'

let pool: Pool
let float: Model
let int8: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  float = await loadMade(pool)
  int8 = await loadMade(pool, tinyConfig, tinyTensors(), { quantize: 'w8a8' })
})
afterAll(async () => await pool.close())

const tokens = Array.from({ length: 70 }, (_, i) => (i * 1009 + 5) % 2048)

describe('compareModels', () => {
  it('finds no difference between a model and itself', async () => {
    const { kl, sameBest, model, reference } = await compareModels(int8, int8, tokens)
    expect(kl).toEqual({ mean: 0, p50: 0, p99: 0, max: 0 })
    expect(sameBest).toBe(1)
    expect(model).toEqual(reference)
  })

  it('matches a plain computation on the logits of both', async () => {
    const window = 20
    const expected = await plainComparison(int8, float, tokens, window)
    const got = await compareModels(int8, float, tokens, { window })
    expect(got.tokens).toBe(60)
    expect(got.kl.mean).toBeGreaterThan(1e-6)
    expectClose(got, expected)
  })

  it('reports the NLL that each model gives alone', async () => {
    const { model, reference } = await compareModels(int8, float, tokens, { window: 10 })
    expect(model.nll).toBeCloseTo(await int8.nll(tokens, { window: 10 }), 5)
    expect(reference.nll).toBeCloseTo(await float.nll(tokens, { window: 10 }), 5)
    expect(model.perplexity).toBeCloseTo(Math.exp(model.nll), 6)
  })

  it('tells KV cache dtypes apart', async () => {
    using coarse = await loadMade(pool, tinyConfig, tinyTensors(), { kv: 'int8' })
    const { kl } = await compareModels(coarse, float, tokens)
    expect(kl.mean).toBeGreaterThan(0)
  })

  it('reports progress in tokens', async () => {
    const progress: [number, number][] = []
    const onProgress = (done: number, total: number) => progress.push([done, total])
    await compareModels(float, float, tokens, { window: 30, onProgress })
    expect(progress.at(-1)).toEqual([60, 60])
    expect(progress.every(([done], i) => i === 0 || done > progress[i - 1][0])).toBe(true)
  })

  it('stops when aborted, and releases what it held', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const onProgress = () => controller.abort(reason)
    const { signal } = controller
    const call = compareModels(int8, float, tokens, { window: 10, signal, onProgress })
    await expect(call).rejects.toBe(reason)
    expect((await compareModels(int8, float, tokens.slice(0, 9))).tokens).toBe(9)
  })

  it('refuses bad arguments', async () => {
    const small = { ...tinyConfig, vocab_size: 1024 }
    const embedding = 'model.embed_tokens.weight'
    const tensors = tinyTensors()
    const half = { ...tensors[embedding], shape: [1024, 12] }
    half.data = half.data.subarray(0, half.data.byteLength / 2)
    using other = await loadMade(pool, small, { ...tensors, [embedding]: half })
    const refusals: [Promise<unknown>, string][] = [
      [compareModels(float, other, tokens), 'reference: expected a vocabulary of 2048 tokens'],
      [compareModels(float, {} as Model, tokens), 'reference: expected a Model, got Object'],
      [compareModels(float, int8, [1]), 'tokens: expected at least 2'],
      [compareModels(float, int8, [1, 2048]), 'tokens[1]: expected'],
      [compareModels(float, int8, [1, 2], { window: 1 }), 'window: expected'],
    ]
    for (const [call, message] of refusals) {
      await expect(call).rejects.toThrow(ArgumentError)
      await expect(call).rejects.toThrow(message)
    }
  })

  it('refuses logits that are NaN, and names their position', async () => {
    const tensors = tinyTensors()
    tensors['model.norm.weight'] = f32([12], new Array(12).fill(Number.NaN))
    using broken = await loadMade(pool, tinyConfig, tensors)
    for (const pair of [
      [broken, float],
      [float, broken],
    ]) {
      const call = compareModels(pair[0], pair[1], tokens)
      await expect(call).rejects.toThrow(NotANumberError)
      await expect(call).rejects.toThrow('logits at position 0')
    }
  })

  it('refuses disposed models', async () => {
    const gone = await loadMade(pool)
    gone.dispose()
    await expect(compareModels(float, gone, tokens)).rejects.toThrow(DisposedError)
  })
})

describe('divergence', () => {
  const rows = fc
    .integer({ min: 1, max: 40 })
    .chain((size) =>
      fc.tuple(
        ...[0, 1].map(() =>
          fc.float32Array({ minLength: size, maxLength: size, min: -40, max: 40, noNaN: true }),
        ),
      ),
    )

  it('matches the definition for any logits', () => {
    fc.assert(
      fc.property(rows, ([logits, reference]) => {
        const [q, p] = [logProbabilities(logits), logProbabilities(reference)]
        const kl = p.reduce((sum, log, n) => sum + Math.exp(log) * (log - q[n]), 0)
        const got = divergence(logits, reference)
        expect(got.kl).toBeCloseTo(kl, 9)
        expect(got.kl).toBeGreaterThanOrEqual(0)
        expect(got.logSum).toBeCloseTo(logits[0] - q[0], 9)
        expect(got.referenceLogSum).toBeCloseTo(reference[0] - p[0], 9)
        expect(got.sameBest).toBe(
          logits.indexOf(Math.max(...logits)) === reference.indexOf(Math.max(...reference)),
        )
      }),
    )
  })

  it('of coins matches the formula computed by hand', () => {
    const coin = (heads: number) => Float32Array.of(Math.log(heads), Math.log(1 - heads))
    const { kl, sameBest } = divergence(coin(0.25), coin(0.5))
    expect(kl).toBeCloseTo(0.5 * Math.log(2) + 0.5 * Math.log(2 / 3), 7)
    expect(sameBest).toBe(false)
  })

  it('is NaN where a logit is NaN', () => {
    expect(divergence(Float32Array.of(1, Number.NaN), Float32Array.of(1, 2)).kl).toBeNaN()
    expect(divergence(Float32Array.of(1, 2), Float32Array.of(Number.NaN, 2)).kl).toBeNaN()
  })
})

function logProbabilities(logits: Float32Array): number[] {
  const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0)
  return Array.from(logits, (logit) => logit - Math.log(sum))
}

async function plainComparison(
  model: Model,
  reference: Model,
  ids: number[],
  window: number,
): Promise<Comparison> {
  const kls: number[] = []
  const nlls: [number[], number[]] = [[], []]
  let same = 0
  for (let from = 0; from + window <= ids.length; from += window) {
    const slice = ids.slice(from, from + window)
    const both = await Promise.all([model, reference].map((one) => logitsOf(one, slice)))
    for (let i = 0; i < window; i++) {
      const rows = both.map((logits) => logits.subarray(i * 2048, (i + 1) * 2048))
      const [q, p] = rows.map(logProbabilities)
      kls.push(p.reduce((sum, log, n) => sum + Math.exp(log) * (log - q[n]), 0))
      if (q.indexOf(Math.max(...q)) === p.indexOf(Math.max(...p))) same++
      if (i + 1 === window) continue
      nlls[0].push(-q[slice[i + 1]])
      nlls[1].push(-p[slice[i + 1]])
    }
  }
  kls.sort((a, b) => a - b)
  const [nll, referenceNll] = nlls.map(mean)
  return {
    tokens: kls.length,
    kl: { mean: mean(kls), p50: kls[29], p99: kls[59], max: kls[59] },
    sameBest: same / kls.length,
    model: { nll, perplexity: Math.exp(nll) },
    reference: { nll: referenceNll, perplexity: Math.exp(referenceNll) },
  }
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length
}

/** Expects that all numbers agree. */
function expectClose(got: object, expected: object): void {
  for (const [name, value] of Object.entries(expected)) {
    const other = (got as Record<string, unknown>)[name]
    if (typeof value === 'object') expectClose(other as object, value)
    else expect(other, name).toBeCloseTo(value, 9)
  }
}
