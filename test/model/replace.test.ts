import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError, FormatError } from '#src/errors.js'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { Model } from '#src/model/model.js'
import { quantizeLinears, replaceLinears } from '#src/model/replace.js'
import { Linear } from '#src/ops/linear.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { expectSameBits } from '../support/reference.js'
import {
  f32,
  fixture,
  loadFixture,
  loadMade,
  logitsOf,
  readIds,
  relativeError,
  temporaryFolder,
  tinyConfig,
  tinyTensors,
  writeCheckpoint,
} from './support.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const tiny = (tensors = tinyTensors()) => loadMade(pool, tinyConfig, tensors)

const logits = (model: Model, ids: ArrayLike<number> = [5, 6, 7]) => logitsOf(model, ids)

/** Expects a call to fail and to leave the model as it was. */
async function expectUnchanged(model: Model, failing: () => Promise<unknown>, error: unknown) {
  const linears = new Map(model.linears)
  const before = await logits(model)
  await expect(failing()).rejects.toThrow(error as Error)
  expect(new Map(model.linears)).toEqual(linears)
  expectSameBits(await logits(model), before)
}

describe('quantizeLinears', () => {
  it('replaces all Linears but the skipped ones, and describes the result', async () => {
    using model = await tiny()
    const before = await logits(model)
    const progress: [number, number][] = []
    const report = await quantizeLinears(model, {
      skip: ['lm_head', 'layers.0.*'],
      onProgress: (...now) => progress.push(now),
    })
    expect(report.replaced).toEqual(
      [
        'self_attn.q',
        'self_attn.k',
        'self_attn.v',
        'self_attn.o',
        'mlp.gate',
        'mlp.up',
        'mlp.down',
      ].map((part) => `model.layers.1.${part}_proj`),
    )
    expect(report.skipped.length).toBe(8)
    expect(report.skipped.at(-1)).toEqual({ name: 'lm_head', reason: 'is skipped by lm_head' })
    expect(progress.length).toBe(7)
    // as many bytes as the weights take, padded to whole tiles
    const [done, total] = progress.at(-1) as [number, number]
    expect(done).toBe(total)
    expect(total).toBeGreaterThanOrEqual(1584 * 4)
    for (const [name, linear] of model.linears) {
      expect(linear instanceof Linear).toBe(report.replaced.includes(name))
    }
    expect(relativeError(await logits(model), before)).toBeLessThan(0.05)

    const again = await quantizeLinears(model)
    expect(again.replaced.length).toBe(7)
    expect(again.skipped).toContainEqual({
      name: 'model.layers.1.mlp.up_proj',
      reason: 'is int8 already',
    })
  })

  it('gives the bits of a checkpoint that was quantised while loading', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    using loaded = await Model.load(pool, folder.path, {
      quantize: 'w8a8',
      skip: ['lm_head'],
      kv: 'float32',
    })
    using model = await tiny()
    await quantizeLinears(model)
    expectSameBits(await logits(model), await logits(loaded))
  })

  it('uses the `outliers` of the Linears that are int8 already, and refuses another number', async () => {
    using model = await tiny()
    await quantizeLinears(model, { skip: ['lm_head', 'q_proj'], outliers: 3 })
    await expectUnchanged(model, () => quantizeLinears(model, { outliers: 8 }), /outliers.*3/)
    await quantizeLinears(model)
    const int8 = [...model.linears.values()].filter((linear) => linear instanceof Linear)
    expect(int8.map(({ outliers }) => outliers)).toEqual(int8.map(() => 3))
  })

  it('changes nothing when it fails or is aborted half-way', async () => {
    const name = 'model.layers.1.mlp.down_proj.weight'
    const broken = f32([12, 20], new Float32Array(240).fill(1e-3).fill(Number.NaN, 239))
    using model = await tiny({ ...tinyTensors(), [name]: broken })
    await expectUnchanged(model, () => quantizeLinears(model), ArgumentError)

    using sound = await tiny()
    const controller = new AbortController()
    const { signal } = controller
    const onProgress = () => controller.abort(new Error('enough'))
    const aborted = () => quantizeLinears(sound, { signal, onProgress })
    await expectUnchanged(sound, aborted, 'enough')
    const misspelt = () => quantizeLinears(sound, { skip: ['lm_haed'] })
    await expectUnchanged(sound, misspelt, ArgumentError)
  })
})

describe('replaceLinears', () => {
  it('gives the bits of the W8A8 checkpoint itself', async () => {
    using model = await loadFixture(pool, { quantize: 'none' })
    await using state = await Checkpoint.open(fixture)
    const progress: [number, number][] = []
    const report = await replaceLinears(model, state, {
      skip: [],
      onProgress: (...now) => progress.push(now),
    })
    expect(report.replaced.length).toBe(42)
    expect(report.skipped).toEqual([{ name: 'lm_head', reason: 'is stored as BF16' }])
    expect(progress.at(-1)?.[0]).toBe(progress.at(-1)?.[1])
    using loaded = await loadFixture(pool, { skip: ['lm_head'], kv: 'float32' })
    const ids = readIds(join(fixture, 'val_ids.u16')).subarray(0, 40)
    expectSameBits(await logits(model, ids), await logits(loaded, ids))
  })

  it('changes nothing where the checkpoint does not fit', async () => {
    await using folder = await temporaryFolder()
    const name = 'model.layers.1.mlp.down_proj'
    const q = { dtype: 'I8', shape: [12, 20], data: new Uint8Array(240) }
    const tensors = {
      ...tinyTensors(),
      [`${name}.weight`]: q,
      [`${name}.weight_scale`]: f32([2], [1, 1]),
    }
    await writeCheckpoint(folder.path, tinyConfig, tensors)
    await using state = await Checkpoint.open(folder.path)
    using model = await tiny()
    await expectUnchanged(model, () => replaceLinears(model, state), FormatError)
  })
})
