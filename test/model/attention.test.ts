import { describe, expect, it } from 'vitest'
import { attend } from '#src/model/attention.js'
import { seededRandom } from '#src/model/generation/random.js'
import { LayerCache } from '#src/model/kv-cache.js'

describe('attend', () => {
  it('weighs values by the softmax of the scaled products', async () => {
    const cache = new LayerCache(1, 1, 4)
    cache.store(Float32Array.of(0, Math.log(3)), Float32Array.of(1, 5), 0)
    // position 1 sees both: weights 1/4 and 3/4; position 0 sees itself only
    const y = await attend(Float32Array.of(1, 1), 1, cache, 0)
    expect(y[0]).toBeCloseTo(1, 6)
    expect(y[1]).toBeCloseTo(4, 6)
  })

  it('agrees with the plain formula for groups of heads, all at once and one by one', async () => {
    const [heads, kvHeads, D, positions] = [6, 2, 10, 11]
    const random = seededRandom(1)
    const fill = (length: number) => Float32Array.from({ length }, () => random() * 4 - 2)
    const q = fill(positions * heads * D)
    const k = fill(positions * kvHeads * D)
    const v = fill(positions * kvHeads * D)
    const once = new LayerCache(kvHeads, D, positions)
    once.store(k, v, 0)
    const all = await attend(q, heads, once, 0)

    const stepwise = new LayerCache(kvHeads, D, positions + 5)
    for (let p = 0; p < positions; p++) {
      const row = (x: Float32Array, n: number) => x.subarray(p * n * D, (p + 1) * n * D)
      stepwise.store(row(k, kvHeads), row(v, kvHeads), p)
      expect(await attend(row(q, heads), heads, stepwise, p)).toEqual(row(all, heads))
    }

    for (let p = 0; p < positions; p++) {
      for (let h = 0; h < heads; h++) {
        const group = Math.floor(h / (heads / kvHeads))
        const weights = Array.from({ length: p + 1 }, (_, s) => {
          let dot = 0
          for (let i = 0; i < D; i++) {
            dot += q[(p * heads + h) * D + i] * k[(s * kvHeads + group) * D + i]
          }
          return Math.exp(dot / Math.sqrt(D))
        })
        const sum = weights.reduce((a, b) => a + b)
        for (let i = 0; i < D; i++) {
          const expected = weights.reduce((y, w, s) => y + w * v[(s * kvHeads + group) * D + i], 0)
          expect(all[(p * heads + h) * D + i]).toBeCloseTo(expected / sum, 5)
        }
      }
    }
  })

  it('survives products that overflow exp', async () => {
    const cache = new LayerCache(1, 1, 2)
    cache.store(Float32Array.of(1000, -1000), Float32Array.of(2, 3), 0)
    expect([...(await attend(Float32Array.of(1000, 1000), 1, cache, 0))]).toEqual([2, 2])
  })
})
