import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { loadModel } from '#src/model/load.js'
import type { Model } from '#src/model/model.js'
import { randomF32, temporaryFolder, tinyConfig, tinyTensors, writeCheckpoint } from './support.js'

async function tiny(config: object = tinyConfig, tensors = tinyTensors()): Promise<Model> {
  await using folder = await temporaryFolder()
  await writeCheckpoint(folder.path, config, tensors)
  return await loadModel(null, folder.path)
}

const ids = [5, 1000, 2047, 1, 5, 7]

describe('forward', () => {
  it('gives the same logits in one go, in parts, and id by id', async () => {
    using model = await tiny()
    const V = model.config.vocabSize
    const all = await model.forward(ids, model.createCache(6), { allRows: true })
    expect(all.length).toBe(6 * V)
    for (const parts of [[ids], [ids.slice(0, 4), ids.slice(4)], ids.map((id) => [id])]) {
      const cache = model.createCache(9)
      let seen = 0
      for (const part of parts) {
        const logits = await model.forward(Uint16Array.from(part), cache)
        seen += part.length
        expect(logits).toEqual(all.subarray((seen - 1) * V, seen * V))
        expect(cache.length).toBe(seen)
      }
    }
  })

  it('uses a head of its own and biases where the checkpoint has them', async () => {
    using plain = await tiny()
    const tensors = tinyTensors()
    tensors['lm_head.weight'] = tensors['model.embed_tokens.weight']
    const untied = { ...tinyConfig, tie_word_embeddings: false }
    using same = await tiny(untied, tensors)
    const forward = (model: Model) => model.forward(ids, model.createCache(6))
    expect(await forward(same)).toEqual(await forward(plain))

    const bias = (value: number) =>
      Object.fromEntries(
        ['q', 'k', 'v', 'o'].flatMap((p) =>
          [0, 1].map((layer) => {
            const name = `model.layers.${layer}.self_attn.${p}_proj.bias`
            const size = p === 'q' ? 24 : 12
            const stored = randomF32([size], 50)
            if (value === 0) stored.data.fill(0)
            return [name, stored]
          }),
        ),
      )
    const biased = { ...tinyConfig, attention_bias: true }
    using unchanged = await tiny(biased, { ...tinyTensors(), ...bias(0) })
    expect(await forward(unchanged)).toEqual(await forward(plain))
    using changed = await tiny(biased, { ...tinyTensors(), ...bias(1) })
    expect(await forward(changed)).not.toEqual(await forward(plain))
  })

  it('leaves the cache as it was when it is aborted', async () => {
    using model = await tiny()
    const cache = model.createCache(6)
    await model.forward([5], cache)
    const expected = await model.forward([6], cache)
    cache.length = 1
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(model.forward([9], cache, { signal })).rejects.toThrow('enough')
    expect(cache.length).toBe(1)
    expect(await model.forward([6], cache)).toEqual(expected)
  })

  it('refuses ids and caches that do not fit', async () => {
    using model = await tiny()
    using other = await tiny()
    const cache = model.createCache(2)
    for (const wrong of [[], [-1], [2048], [1.5], [Number.NaN], [1, 2, 3]]) {
      await expect(model.forward(wrong, cache)).rejects.toThrow(ArgumentError)
    }
    await expect(model.forward([1], other.createCache(2))).rejects.toThrow(
      /cache: .*one of another/,
    )
    const first = model.forward([1], cache)
    await expect(model.forward([1], cache)).rejects.toThrow(/cache: .*one in use/)
    await first
    await model.forward([1], cache)
    await expect(model.forward([1], cache)).rejects.toThrow(
      /at most 0, for which the cache has room/,
    )
    for (const capacity of [0, 33, 1.5]) {
      expect(() => model.createCache(capacity)).toThrow(ArgumentError)
    }
  })
})

describe('nll', () => {
  it('is the mean over all predictions of all whole windows', async () => {
    using model = await tiny()
    const progress: number[] = []
    const both = await model.nll(ids, { window: 3, onProgress: (done) => progress.push(done) })
    const halves = [await model.nll(ids.slice(0, 3)), await model.nll(ids.slice(3))]
    expect(both).toBeCloseTo((halves[0] + halves[1]) / 2, 12)
    expect(await model.nll([...ids, 9], { window: 3 })).toBe(both)
    expect(progress).toEqual([1, 2])
  })

  it('is the negative log of the softmax', async () => {
    using model = await tiny()
    const logits = await model.forward([5], model.createCache(1))
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0)
    expect(await model.nll([5, 8])).toBeCloseTo(Math.log(sum) - logits[8], 5)
  })

  it('refuses bad arguments', async () => {
    using model = await tiny()
    await expect(model.nll([1])).rejects.toThrow(/ids: expected at least 2/)
    await expect(model.nll([1, 5000])).rejects.toThrow(/ids\[1\]/)
    await expect(model.nll([1, 2], { window: 1 })).rejects.toThrow(/window/)
    await expect(model.nll([1, 2], { window: 33 })).rejects.toThrow(/window/)
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(model.nll([1, 2], { signal })).rejects.toThrow('enough')
  })
})
