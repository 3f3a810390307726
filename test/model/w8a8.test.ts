import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel } from '#src/model/load.js'
import type { Model } from '#src/model/model.js'
import { Linear } from '#src/ops/linear.js'
import { Pool } from '#src/pool/pool.js'
import { fixture, qwen3Prompts, readFloats, readIds, readJson, relativeError } from './support.js'

describe('the W8A8 fixture on a pool', () => {
  let pool: Pool
  let model: Model
  beforeAll(async () => {
    pool = await Pool.create({ threads: 2 })
    model = await loadModel(pool, fixture)
  })
  afterAll(async () => await pool.close())

  it('runs every Linear in int8, but the head', () => {
    for (const [name, projection] of model.projections) {
      expect(projection instanceof Linear).toBe(name !== 'lm_head')
    }
    expect(model.projections.size).toBe(6 * 7 + 1)
    expect(String(model.projections.get('model.layers.0.mlp.up_proj'))).toBe(
      'Linear(in_features=256, out_features=768, bias=false, dtype=int8)',
    )
  })

  it('has the NLL of the W8A8 reference, and nearly that of float32', async () => {
    const { nll_w8a8, nll_fp32 } = readJson(join(fixture, 'val_windows.json'))
    const mean = (windows: number[]) => windows.slice(0, 3).reduce((a, b) => a + b) / 3
    const ids = readIds(join(fixture, 'val_ids.u16')).subarray(0, 3 * 256)
    const nll = await model.nll(ids)
    expect(Math.abs(nll / mean(nll_w8a8) - 1)).toBeLessThan(1e-3)
    expect(Math.abs(nll / mean(nll_fp32) - 1)).toBeLessThan(5e-3)
  })

  it('has nearly the logits of the float32 reference', async () => {
    const [{ promptIds, greedyIds }] = qwen3Prompts()
    const ids = [...promptIds, ...greedyIds.slice(0, -1)]
    const logits = await model.forward(ids, model.createCache(ids.length), { allRows: true })
    const predicting = logits.subarray((promptIds.length - 1) * model.config.vocabSize)
    const golden = readFloats(join(fixture, 'logits_prompt0.f32'))
    expect(relativeError(predicting, golden)).toBeLessThan(0.02)
  })

  it('agrees with the float32 reference on most next ids', async () => {
    for (const { promptIds, greedyIds } of qwen3Prompts()) {
      const ids = [...promptIds, ...greedyIds.slice(0, -1)]
      const logits = await model.forward(ids, model.createCache(ids.length), { allRows: true })
      const { vocabSize } = model.config
      const agreed = greedyIds.filter((id, i) => {
        const at = (promptIds.length - 1 + i) * vocabSize
        const row = logits.subarray(at, at + vocabSize)
        return row.every((logit) => logit <= row[id])
      })
      expect(agreed.length / greedyIds.length).toBeGreaterThan(0.9)
    }
  })

  it('gives the same bits id by id as all at once, at any thread count', async () => {
    const ids = qwen3Prompts()[2].promptIds
    const all = await model.forward(ids, model.createCache(ids.length), { allRows: true })
    await using single = await Pool.create({ threads: 1 })
    for (const other of [model, await loadModel(single, fixture)]) {
      const cache = other.createCache(ids.length)
      for (const [i, id] of ids.entries()) {
        const { vocabSize } = model.config
        expect(await other.forward([id], cache)).toEqual(
          all.subarray(i * vocabSize, (i + 1) * vocabSize),
        )
      }
    }
  })

  it('counts the time in Linears and the weight bytes they read', async () => {
    model.timing.reset()
    await model.forward([1, 2, 3], model.createCache(3))
    const { timing, config } = model
    const perLayer = 512 * 256 * 2 + 256 * 256 * 2 + 768 * 256 * 3
    expect(timing.forwards).toBe(1)
    expect(timing.ids).toBe(3)
    expect(timing.int8.weightBytes).toBe(6 * perLayer)
    expect(timing.float32.weightBytes).toBe(4 * config.vocabSize * config.hiddenSize)
    expect(timing.int8.microseconds).toBeGreaterThan(0)
    const inLinears = timing.int8.microseconds + timing.float32.microseconds
    expect(inLinears).toBeLessThanOrEqual(timing.microseconds)
  })

  it('can be dequantised to float32 instead, without a pool', async () => {
    using float = await loadModel(null, fixture, { quantize: 'none' })
    const ids = qwen3Prompts()[0].promptIds
    const expected = await float.forward(ids, float.createCache(ids.length))
    const logits = await model.forward(ids, model.createCache(ids.length))
    expect(relativeError(logits, expected)).toBeLessThan(0.02)
  })
})
