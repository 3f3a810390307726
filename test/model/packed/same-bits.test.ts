import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { quantizeLinears } from '#src/model/replace.js'
import { Pool } from '#src/pool/pool.js'
import { gguf } from '../../support/gguf.js'
import { createPool, isas } from '../../support/isas.js'
import { expectSameBits } from '../../support/reference.js'
import { toGguf } from '../gguf/make.js'
import { packQuantized, packQuantizedConfig } from '../grouped/pack-quantized.js'
import { packedCheckpoint } from '../grouped/packed-checkpoint.js'
import { type MadeCheckpoint, randomCheckpoint } from '../random-checkpoint.js'
import { collect, fixture, logitsOf, temporaryFolder, writeCheckpoint } from '../support.js'
import { packMade } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 40 }, (_, i) => (i * 7) % 53)
const llama = randomCheckpoint('LlamaForCausalLM')
const tied = randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true })
const qwen2 = randomCheckpoint('Qwen2ForCausalLM', {}, { biases: true })
const kind = { size: 32, symmetric: true, seed: 1 }
const { packed: packQuantizedLlama } = packedCheckpoint(
  packQuantizedConfig(32),
  kind,
  (name, weight) => packQuantized(name, weight, kind),
)
const qwen3 = randomCheckpoint('Qwen3ForCausalLM', {}, { headNorms: true })

async function expectSameModel(pool: Pool, made: MadeCheckpoint, options: LoadOptions) {
  await using folder = await temporaryFolder()
  const file = await packMade(pool, folder.path, made, options)
  using model = await Model.load(pool, folder.path, options)
  using packed = await Model.load(pool, file)
  expectSameBits(await logitsOf(packed, ids), await logitsOf(model, ids))
  expect(await packed.fingerprint()).toBe(await model.fingerprint())
  expect(String(packed)).toBe(String(model))
  expect(packed.config).toEqual(model.config)
}

describe('a packed model gives the same bits', () => {
  it.each<[string, MadeCheckpoint, LoadOptions]>([
    ['in int8', qwen2, { quantize: 'w8a8' }],
    ['in four bits', qwen3, { quantize: 'w4a8', head: 'int4' }],
    ['in float', qwen2, { quantize: 'none' }],
    ['in float, tied', tied, { quantize: 'none' }],
    ['in int8, tied', tied, { quantize: 'w8a8' }],
    ['of four bits by another tool', packQuantizedLlama, {}],
    ['in int8 but for a tied head', tied, { quantize: 'w8a8', skip: ['lm_head'] }],
  ])('%s', async (_, made, options) => {
    await expectSameModel(pool, made, options)
  })

  it.each(isas)('in four bits and float, with biases, on %s', async (isa) => {
    await using pool = await createPool(isa, { threads: 1 })
    await expectSameModel(pool, qwen2, { quantize: 'w4a8', skip: ['lm_head', 'o_proj'] })
  })
})

it('is the same file on every ISA', async () => {
  await using folder = await temporaryFolder()
  const files: Buffer[] = []
  for (const isa of isas) {
    await using pool = await createPool(isa, { threads: 1 })
    const sub = join(folder.path, isa)
    await mkdir(sub)
    files.push(await readFile(await packMade(pool, sub, llama, { quantize: 'w8a8' })))
  }
  for (const file of files) expect(file.equals(files[0])).toBe(true)
})

it('has the texts of its checkpoint', async () => {
  await using folder = await temporaryFolder()
  using model = await Model.load(pool, fixture)
  const file = join(folder.path, 'model.dotpool')
  const progress: [number, number][] = []
  await model.pack(file, { onProgress: (...now) => progress.push(now) })
  expect(progress.at(-1)?.[0]).toBe(progress.at(-1)?.[1])
  using packed = await Model.load(pool, file, { verify: true })
  const options = { maxTokens: 40, sampling: { temperature: 0.8, seed: 3 } }
  const [a, b] = [packed, model].map((one) => collect(one.generate('ROMEO:', options)))
  expect((await a).join('')).toBe((await b).join(''))
  expect(packed.tokenizer.encode('Thou art')).toEqual(model.tokenizer.encode('Thou art'))
  expect(packed.tokenizer.table).toEqual(model.tokenizer.table)
  expect(packed.chatTemplate.exists).toBe(model.chatTemplate.exists)
  expect(Object.keys(await packed.textFiles())).toEqual(Object.keys(await model.textFiles()))
  const responseFormat = { type: 'json_object' } as const
  const json = await collect(packed.generate('O', { maxTokens: 60, responseFormat }))
  expect(json.join('')).toMatch(/^\s*\{/)
})

it('writes conversations by the template of its checkpoint', async () => {
  await using folder = await temporaryFolder()
  const { config, tensors } = llama
  await writeCheckpoint(folder.path, config, tensors)
  const template = '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}'
  await writeFile(join(folder.path, 'chat_template.jinja'), template)
  using model = await Model.load(pool, folder.path)
  const file = join(folder.path, 'model.dotpool')
  await model.pack(file)
  using packed = await Model.load(pool, file)
  expect(packed.chatTemplate.render([{ role: 'user', content: 'Hi' }])).toBe('<user>Hi')
})

it('comes from GGUF, too', async () => {
  await using folder = await temporaryFolder()
  const { fields, tensors } = toGguf(llama)
  const source = join(folder.path, 'model.gguf')
  await writeFile(source, gguf(fields, tensors))
  using model = await Model.load(pool, source, { quantize: 'w8a8' })
  const file = join(folder.path, 'model.dotpool')
  await model.pack(file)
  using packed = await Model.load(pool, file)
  expectSameBits(await logitsOf(packed, ids), await logitsOf(model, ids))
})

it.each<[string, MadeCheckpoint, LoadOptions]>([
  ['in int8', qwen2, { quantize: 'w8a8', skip: ['down_proj'] }],
  ['in four bits', qwen3, { quantize: 'w4a8' }],
  ['with a tied head in int8', tied, { quantize: 'w8a8' }],
  ['with a tied head in float', tied, { quantize: 'w8a8', skip: ['lm_head'] }],
])('can be saved as a checkpoint again: %s', async (_, made, options) => {
  await using folder = await temporaryFolder()
  const file = await packMade(pool, folder.path, made, options)
  using packed = await Model.load(pool, file)
  const saved = join(folder.path, 'saved')
  await packed.save(saved)
  using model = await Model.load(pool, saved, { kv: 'bfloat16', skip: options.skip })
  expectSameBits(await logitsOf(model, ids), await logitsOf(packed, ids))
})

it('can be quantised and packed again', async () => {
  await using folder = await temporaryFolder()
  const file = await packMade(pool, folder.path, tied, { quantize: 'none' })
  using packed = await Model.load(pool, file)
  await quantizeLinears(packed, { quantize: 'w4a8' })
  const again = join(folder.path, 'again.dotpool')
  await packed.pack(again)
  using model = await Model.load(pool, again, { kv: 'float32' })
  expectSameBits(await logitsOf(model, ids), await logitsOf(packed, ids))
})

describe('options of loading', () => {
  it('that ask for other weights are refused', async () => {
    await using folder = await temporaryFolder()
    const options = { quantize: 'w8a8', skip: ['lm_head', 'down_proj'] } as const
    const file = await packMade(pool, folder.path, llama, options)
    for (const load of [
      (given: LoadOptions) => Model.load(pool, file, given),
      (given: LoadOptions) => Model.inspect(file, given),
    ]) {
      await expect(load({ quantize: 'w4a8' })).rejects.toThrow(/quantize: expected 'w8a8', as/)
      await expect(load({ quantize: 'none' })).rejects.toThrow(ArgumentError)
      await expect(load({ quantize: 'w3' as 'none' })).rejects.toThrow(/one of/)
      const wrong = /skip: expected .*0\.mlp\.down_proj, .*lm_head, as .* got lm_head/
      await expect(load({ skip: ['lm_head'] })).rejects.toThrow(wrong)
      await expect(load({ skip: ['nonsense'] })).rejects.toThrow(ArgumentError)
    }
    using model = await Model.load(pool, file, options)
    expect(String(model.linears.get('lm_head'))).toContain('float32')
  })

  it('are refused for another head', async () => {
    await using folder = await temporaryFolder()
    const file = await packMade(pool, folder.path, llama, { quantize: 'w4a8', head: 'int4' })
    using model = await Model.load(pool, file, { head: 'int4' })
    expect(String(model.linears.get('lm_head'))).toContain('int4')
    await expect(Model.load(pool, file, { head: 'int8' })).rejects.toThrow(
      /head: expected 'int4', as .* is packed/,
    )
  })

  it('that concern activations and the cache work', async () => {
    await using folder = await temporaryFolder()
    const file = await packMade(pool, folder.path, llama, { quantize: 'w8a8' })
    const options = { quantize: 'w8a8', outliers: 2, kv: 'int8', maxContext: 64 } as const
    using packed = await Model.load(pool, file, options)
    using model = await Model.load(pool, folder.path, options)
    expectSameBits(await logitsOf(packed, ids), await logitsOf(model, ids))
    expect(packed.maxContext).toBe(64)
  })

  it('tell beforehand what the model takes', async () => {
    await using folder = await temporaryFolder()
    const file = await packMade(pool, folder.path, llama, { quantize: 'w4a8' })
    const [packed, model] = [
      await Model.inspect(file, { kvBytes: 1 }),
      await Model.inspect(folder.path, { quantize: 'w4a8', kvBytes: 1 }),
    ]
    expect(packed.config).toEqual(model.config)
    expect(packed.kvBytes).toBe(model.kvBytes)
    expect(packed.parameterBytes).toBeGreaterThanOrEqual(model.parameterBytes)
    expect(packed.parameterBytes).toBeLessThan(model.parameterBytes * 1.5)
  })

  it('verify only what has a checksum', async () => {
    const load = Model.load(pool, fixture, { verify: true })
    await expect(load).rejects.toThrow(/folder: expected a packed model to verify/)
  })
})
