import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { quantizeLinears } from '#src/model/replace.js'
import { Linear } from '#src/ops/linear.js'
import { Pool } from '#src/pool/pool.js'
import { expectSameBits } from '../support/reference.js'
import { expectNothingOpen } from './open-files.js'
import { randomCheckpoint } from './random-checkpoint.js'
import { fixture, logitsOf, readJson, temporaryFolder, writeCheckpoint } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 40 }, (_, i) => (i * 7) % 53)
const kv = 'bfloat16'

const int8 = ({ linears }: Model) =>
  [...linears].filter(([, linear]) => linear instanceof Linear).map(([name]) => name)

describe('a model after save and load', () => {
  it.each<[string, ReturnType<typeof randomCheckpoint>, LoadOptions]>([
    ['Llama', randomCheckpoint('LlamaForCausalLM'), {}],
    ['Llama, tied', randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true }), {}],
    ['Qwen2', randomCheckpoint('Qwen2ForCausalLM', {}, { biases: true }), {}],
    ['Qwen3', randomCheckpoint('Qwen3ForCausalLM', {}, { headNorms: true }), {}],
    ['Llama, some Linears', randomCheckpoint('LlamaForCausalLM'), { skip: ['mlp.*', 'lm_head'] }],
  ])('gives the same bits: %s', async (_, { config, tensors }, options) => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, config, tensors)
    using model = await Model.load(pool, folder.path, { quantize: 'w8a8', kv, ...options })
    const saved = join(folder.path, 'saved')
    await model.save(saved)
    const { skip } = options
    using again = await Model.load(pool, saved, { kv, skip })
    expect(int8(again)).toEqual(int8(model))
    expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))
    const { ignore } = readJson(join(saved, 'config.json')).quantization_config
    const stored = int8(model).filter((name) => !(config.tie_word_embeddings && name === 'lm_head'))
    const all = [...model.linears.keys()]
    expect(ignore).toEqual(all.filter((name) => !stored.includes(name)))
  })

  it('equals the fixture', async () => {
    await using parent = await temporaryFolder()
    using _open = expectNothingOpen()
    using model = await Model.load(pool, fixture)
    const progress: [number, number][] = []
    const folder = join(parent.path, 'saved')
    await model.save(folder, { onProgress: (...now) => progress.push(now) })
    expect(progress.at(-1)?.[0]).toBe(progress.at(-1)?.[1])
    using again = await Model.load(pool, folder)
    expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))
    expect(readJson(join(folder, 'config.json'))).toEqual(readJson(join(fixture, 'config.json')))
  })

  it('keeps the Linears that were quantised after loading', async () => {
    await using folder = await temporaryFolder()
    const { config, tensors } = randomCheckpoint('LlamaForCausalLM')
    await writeCheckpoint(folder.path, config, tensors)
    using model = await Model.load(pool, folder.path, { kv })
    const { replaced } = await quantizeLinears(model, { skip: ['lm_head', 'o_proj'] })
    const saved = join(folder.path, 'saved')
    await model.save(saved)
    using again = await Model.load(pool, saved, { kv, skip: ['lm_head', 'o_proj'] })
    expect(int8(again)).toEqual(replaced)
    expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))
  })
})

it('refuses a folder that is not empty, and leaves nothing after an abort', async () => {
  await using parent = await temporaryFolder()
  using model = await Model.load(pool, fixture)
  await expect(model.save(fixture)).rejects.toThrow(ArgumentError)
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(model.save(join(parent.path, 'saved'), { signal })).rejects.toThrow('enough')
  expect(await readdir(parent.path)).toEqual([])
})
