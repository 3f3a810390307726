import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError, DisposedError } from '#src/errors.js'
import type { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { loadMade, logitsOf, randomF32, tinyConfig, tinyTensors } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const ids = [5, 1000, 2047, 1, 5, 7]

describe('logits', () => {
  it('has a row for every token, whatever tokens follow, for any kind of array', async () => {
    using model = await loadMade(pool)
    const all = await model.logits(ids)
    expect(all.dims).toEqual([6, 2048])
    for (let count = 1; count < 6; count++) {
      const some = await logitsOf(model, Uint16Array.from(ids.slice(0, count)))
      expect(some).toEqual(all.data.slice(0, count * 2048))
    }
  })

  it('uses a separate head and biases where the checkpoint has them', async () => {
    using plain = await loadMade(pool)
    const tensors = tinyTensors()
    tensors['lm_head.weight'] = tensors['model.embed_tokens.weight']
    using same = await loadMade(pool, { ...tinyConfig, tie_word_embeddings: false }, tensors)
    expect(await logitsOf(same, ids)).toEqual(await logitsOf(plain, ids))

    const biased = { ...tinyConfig, attention_bias: true }
    using unchanged = await loadMade(pool, biased, { ...tinyTensors(), ...biases(0) })
    expect(await logitsOf(unchanged, ids)).toEqual(await logitsOf(plain, ids))
    using changed = await loadMade(pool, biased, { ...tinyTensors(), ...biases(1) })
    expect(await logitsOf(changed, ids)).not.toEqual(await logitsOf(plain, ids))
  })

  it('refuses values that are not tokens, and more than the context holds', async () => {
    using model = await loadMade(pool)
    for (const wrong of [[], [-1], [2048], [1.5], [Number.NaN], new Array(33).fill(1)]) {
      await expect(model.logits(wrong)).rejects.toThrow(ArgumentError)
    }
    await expect(model.logits([1, 2048])).rejects.toThrow(
      'tokens[1]: expected a token id in [0, 2048), got 2048',
    )
    await expect(model.logits(new Array(33).fill(1))).rejects.toThrow(
      'tokens: expected at most 32, the context, got 33',
    )
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(model.logits([1], { signal })).rejects.toThrow('enough')
  })

  /** Biases of attention, in both layers: all zero, or random. */
  function biases(scale: 0 | 1) {
    const sizes = { q: 24, k: 12, v: 12, o: 12 }
    const entries = Object.entries(sizes).flatMap(([part, size]) =>
      [0, 1].map((layer) => {
        const stored = randomF32([size], 50)
        if (scale === 0) stored.data.fill(0)
        return [`model.layers.${layer}.self_attn.${part}_proj.bias`, stored] as const
      }),
    )
    return Object.fromEntries(entries)
  }
})

describe('nll', () => {
  let model: Model
  beforeAll(async () => {
    model = await loadMade(pool)
  })

  it('is the mean over all predictions in whole windows', async () => {
    const progress: number[] = []
    const both = await model.nll(ids, { window: 3, onProgress: (done) => progress.push(done) })
    const halves = [await model.nll(ids.slice(0, 3)), await model.nll(ids.slice(3))]
    expect(both).toBeCloseTo((halves[0] + halves[1]) / 2, 12)
    expect(await model.nll([...ids, 9], { window: 3 })).toBe(both)
    expect(progress).toEqual([1, 2])
  })

  it('is the negative log of the softmax', async () => {
    const logits = await logitsOf(model, [5])
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0)
    expect(await model.nll([5, 8])).toBeCloseTo(Math.log(sum) - logits[8], 5)
  })

  it('refuses bad arguments', async () => {
    await expect(model.nll([1])).rejects.toThrow(/tokens: expected at least 2/)
    await expect(model.nll([1, 5000])).rejects.toThrow(/tokens\[1\]/)
    await expect(model.nll([1, 2], { window: 1 })).rejects.toThrow(/window/)
    await expect(model.nll([1, 2], { window: 33 })).rejects.toThrow(/window/)
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(model.nll([1, 2], { signal })).rejects.toThrow('enough')
  })
})

describe('maxContext', () => {
  it('is the checkpoint’s, or less', async () => {
    using whole = await loadMade(pool)
    expect(whole.maxContext).toBe(32)
    using half = await loadMade(pool, tinyConfig, tinyTensors(), { maxContext: 16 })
    expect(half.maxContext).toBe(16)
    await expect(half.logits(new Array(17).fill(1))).rejects.toThrow(/at most 16, the context/)
    for (const maxContext of [1, 33, 2.5]) {
      const loading = loadMade(pool, tinyConfig, tinyTensors(), { maxContext })
      await expect(loading).rejects.toThrow(/maxContext: expected an integer in \[2, 32\]/)
    }
  })
})

it('describes itself and how many bytes a token reads', async () => {
  using model = await loadMade(pool)
  expect(String(model)).toMatch(/^Model\(llama, layers=2, weights=0 MB, dtype=float32\) on Pool\(/)
  const perLayer = 24 * 12 * 2 + 12 * 12 * 2 + 20 * 12 * 3
  const plain = 4 * (2 * perLayer + 2048 * 12)
  // tiles are padded
  expect(model.weightBytes).toBeGreaterThanOrEqual(plain)
  expect(model.weightBytes).toBeLessThan(1.5 * plain)
  // keys and values of 2 heads of 6 in 2 layers
  expect(model.cacheBytes).toBe(2 * 2 * 2 * 6 * 4)
})

it('a disposed model throws DisposedError from every method', async () => {
  const model = await loadMade(pool)
  model.dispose()
  model.dispose()
  await expect(model.logits([1])).rejects.toThrow(DisposedError)
  await expect(model.nll([1, 2])).rejects.toThrow(DisposedError)
  await expect(model.save('/nowhere')).rejects.toThrow(DisposedError)
  expect(() => model.generate('O')).toThrow(DisposedError)
  expect(() => model.generateTokens([1])).toThrow(DisposedError)
})
