import { readdirSync, readlinkSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { Linear } from '#src/ops/linear.js'
import { Pool } from '#src/pool/pool.js'
import {
  expectFormatError,
  f32,
  fixture,
  loadMade,
  randomF32,
  safetensors,
  temporaryFolder,
  tinyConfig,
  tinyTensors,
  writeCheckpoint,
} from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

/** Names of the Linears that run in int8 in a model loaded with these options. */
async function int8Linears(folder: string, options: LoadOptions): Promise<string[]> {
  using model = await Model.load(pool, folder, options)
  return [...model.linears].flatMap(([name, p]) => (p instanceof Linear ? [name] : []))
}

describe('the Linears that run in int8', () => {
  it('of a float checkpoint are none, or all that are not skipped', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    expect(await int8Linears(folder.path, {})).toEqual([])
    const all = await int8Linears(folder.path, { quantize: 'w8a8', skip: [] })
    expect(all.length).toBe(15)
    const but = (...names: string[]) => all.filter((name) => !names.some((n) => name.endsWith(n)))
    expect(await int8Linears(folder.path, { quantize: 'w8a8' })).toEqual(all)
    expect(await int8Linears(folder.path, { quantize: 'w8a8', skip: ['lm_head'] })).toEqual(
      but('lm_head'),
    )
    expect(
      await int8Linears(folder.path, { quantize: 'w8a8', skip: ['down_proj', '*.0.mlp.up_proj'] }),
    ).toEqual(but('down_proj', '0.mlp.up_proj'))
  })

  it('of a W8A8 checkpoint are those stored as int8 and the head, unless told otherwise', async () => {
    expect((await int8Linears(fixture, {})).length).toBe(43)
    expect((await int8Linears(fixture, { skip: ['lm_head'] })).length).toBe(42)
    expect((await int8Linears(fixture, { skip: ['mlp.*'] })).length).toBe(25)
    expect(await int8Linears(fixture, { quantize: 'none' })).toEqual([])
  })

  it('refuses contradictory options', async () => {
    await expect(Model.load(null as unknown as Pool, fixture)).rejects.toThrow(
      /pool: expected a Pool/,
    )
    await expect(Model.load(pool, fixture, { skip: ['lm_haed'] })).rejects.toThrow(/"lm_haed"/)
    const quantize = 'int4' as 'w8a8'
    await expect(Model.load(pool, fixture, { quantize })).rejects.toThrow(ArgumentError)
  })
})

it('reports progress up to all bytes, and can be aborted', async () => {
  const progress: [number, number][] = []
  using _ = await Model.load(pool, fixture, { onProgress: (...now) => progress.push(now) })
  const [done, total] = progress.at(-1) as [number, number]
  expect(done).toBe(total)
  // the file without its header
  expect(total).toBe(7_040_392 - 11_656)
  expect(progress.every(([now], i) => i === 0 || now > progress[i - 1][0])).toBe(true)

  const controller = new AbortController()
  const onProgress = (now: number) => {
    if (now > total / 2) controller.abort(new Error('enough'))
  }
  const aborted = Model.load(pool, fixture, { onProgress, signal: controller.signal })
  await expect(aborted).rejects.toThrow('enough')
})

it.each(['float32', 'bfloat16', 'int8'] as const)('keeps keys and values as %s', async (kv) => {
  using model = await loadMade(pool, tinyConfig, tinyTensors(), { kv })
  const scales = kv === 'int8' ? 2 * 2 * 2 * 4 : 0
  const bytes = { float32: 4, bfloat16: 2, int8: 1 }[kv]
  expect(model.cacheBytes).toBe(2 * 2 * 2 * 6 * bytes + scales)
  const wrong = { kv: 'f16' as 'bfloat16' }
  await expect(loadMade(pool, tinyConfig, tinyTensors(), wrong)).rejects.toThrow(
    'kv: expected one of float32, bfloat16, int8, got "f16"',
  )
})

describe('a checkpoint that is refused', () => {
  const name = 'model.layers.1.mlp.up_proj.weight'
  const without = (key: string) =>
    Object.fromEntries(Object.entries(tinyTensors()).filter(([tensor]) => tensor !== key))
  const int8 = (shape: number[]) => ({ dtype: 'I8', shape, data: new Uint8Array(240) })
  const scale = (shape: number[], value = 1) =>
    f32(shape, new Float32Array(shape.reduce((a, b) => a * b)).fill(value))

  it.each<[string, ReturnType<typeof tinyTensors>, RegExp]>([
    ['a missing weight', without(name), /tensor model\.layers\.1\.mlp\.up_proj\.weight is missing/],
    ['a missing norm', without('model.norm.weight'), /tensor model\.norm\.weight is missing/],
    [
      'a missing embedding',
      without('model.embed_tokens.weight'),
      /embed_tokens\.weight is missing/,
    ],
    ['another shape', { ...tinyTensors(), [name]: randomF32([12, 20], 1) }, /shape \[20,12\], got/],
    [
      'an unexpected tensor',
      { ...tinyTensors(), 'model.x': f32([1], [0]) },
      /model\.x belongs to no part/,
    ],
    [
      'int8 without a scale',
      { ...tinyTensors(), [name]: int8([20, 12]) },
      /weight_scale is missing/,
    ],
    [
      'a scale of another shape',
      { ...tinyTensors(), [name]: int8([20, 12]), [`${name}_scale`]: scale([12, 1]) },
      /weight_scale: expected shape \[20,1\], got \[12,1\]/,
    ],
    [
      'a scale that is not finite',
      { ...tinyTensors(), [name]: int8([20, 12]), [`${name}_scale`]: scale([20, 1], Infinity) },
      /model\.layers\.1\.mlp\.up_proj: scale: expected finite/,
    ],
    [
      'a weight that is not finite',
      { ...tinyTensors(), [name]: f32([20, 12], new Float32Array(240).fill(NaN)) },
      /model\.layers\.1\.mlp\.up_proj: weight: /,
    ],
    [
      'a weight of another dtype',
      { ...tinyTensors(), [name]: { ...randomF32([20, 12], 1), dtype: 'I32' } },
      /up_proj\.weight: dtype I32 is not supported/,
    ],
    [
      'a norm of another dtype',
      { ...tinyTensors(), 'model.norm.weight': { ...randomF32([12], 1), dtype: 'I32' } },
      /model\.norm\.weight: dtype I32 is not supported, only F32, BF16, F16/,
    ],
  ])('%s', async (_, tensors, message) => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, tinyConfig, tensors)
    const loading = Model.load(pool, folder.path, { quantize: 'w8a8' })
    await expectFormatError(loading, message)
  })

  it('a folder without one of the files, or with a broken one', async () => {
    for (const file of ['config.json', 'tokenizer.json', 'model.safetensors']) {
      await using folder = await temporaryFolder()
      await writeCheckpoint(folder.path)
      await writeFile(join(folder.path, file), '{')
      await expectFormatError(Checkpoint.open(folder.path), new RegExp(`${file}: `))
      if (file === 'tokenizer.json') continue
      await rm(join(folder.path, file))
      const missing = new RegExp(`${file}: .*(ENOENT|is missing|exists)`)
      await expectFormatError(Model.load(pool, folder.path), missing)
      expect(openFilesIn(folder.path)).toEqual([])
    }
  })
})

/**
 * Open files of this process, without those that other tests' threads open and close meanwhile. Empty where the system
 * cannot list them.
 */
function openFilesIn(folder: string): string[] {
  if (process.platform !== 'linux') return []
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // closed since it was listed
    }
  })
  return links.filter((file) => file.startsWith(folder))
}

it('broadcasts one scale to a whole weight', async () => {
  const name = 'model.layers.0.mlp.up_proj'
  const q = Int8Array.from({ length: 240 }, (_, i) => (i % 255) - 127)
  const load = async (tensors: ReturnType<typeof tinyTensors>) => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, tinyConfig, tensors)
    using model = await Model.load(pool, folder.path)
    return (await model.logits([1, 2])).data
  }
  const stored = { dtype: 'I8', shape: [20, 12], data: new Uint8Array(q.buffer) }
  const int8 = { ...tinyTensors(), [`${name}.weight`]: stored }
  const perTensor = await load({ ...int8, [`${name}.weight_scale`]: f32([1], [0.25]) })
  const perChannel = await load({
    ...int8,
    [`${name}.weight_scale`]: f32([20, 1], new Array(20).fill(0.25)),
  })
  const float = await load({
    ...tinyTensors(),
    [`${name}.weight`]: f32(
      [20, 12],
      Array.from(q, (value) => value * 0.25),
    ),
  })
  expect(perTensor).toEqual(float)
  expect(perChannel).toEqual(float)
})

it('ignores extra tensors that some exporters write', async () => {
  await using folder = await temporaryFolder()
  const inverse = 'model.layers.0.self_attn.rotary_emb.inv_freq'
  const tensors = { ...tinyTensors(), 'lm_head.weight': f32([1], [0]), [inverse]: f32([1], [0]) }
  await writeFile(join(folder.path, 'x'), safetensors(tensors))
  await writeCheckpoint(folder.path, tinyConfig, tensors)
  using model = await Model.load(pool, folder.path)
  expect(model.linears.size).toBe(15)
})
