import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ArgumentError, FormatError, Model, Pool, type TextFiles, Texts } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixture, temporaryFolder } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const template = "{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}"
const messages = [{ role: 'user' as const, content: 'To be' }]

describe('the texts of a model', () => {
  it('tokenise and write conversations as the model does, without its weights', async () => {
    await using folder = await temporaryFolder()
    await cp(fixture, folder.path, { recursive: true })
    const config = JSON.stringify({ chat_template: template })
    await writeFile(join(folder.path, 'tokenizer_config.json'), config)
    using model = await Model.load(pool, folder.path)
    const files = await model.textFiles()
    expect(Object.keys(files).sort()).toEqual(['tokenizer.json', 'tokenizer_config.json'])
    await using texts = await Texts.fromFiles(files)
    const text = texts.chatTemplate.render(messages)
    expect(text).toBe(model.chatTemplate.render(messages))
    expect(texts.tokenizer?.encode(text)).toEqual(model.tokenizer.encode(text))
    expect(await texts.files()).toEqual(files)
  })

  it('may lack all', async () => {
    await using texts = await Texts.fromFiles({})
    expect(texts.tokenizer).toBeUndefined()
    expect(texts.chatTemplate.exists).toBe(false)
    expect(await texts.files()).toEqual({})
  })

  it('do not change with the memory that they were given in', async () => {
    const bytes = new Uint8Array(await readFile(join(fixture, 'tokenizer.json')))
    const opening = Texts.fromFiles({ 'tokenizer.json': bytes })
    bytes.fill(0)
    await using texts = await opening
    expect(texts.tokenizer?.encode('To be').length).toBeGreaterThan(0)
  })

  it.each<[string, unknown, RegExp]>([
    ['another file', { 'vocab.json': new Uint8Array(1) }, /^files: expected .* the unknown option/],
    ['a text', { 'tokenizer.json': '{}' }, /^files\['tokenizer\.json'\]: expected a Uint8Array/],
    ['too much', { 'chat_template.jinja': new Uint8Array(200_000) }, /at most 100000 bytes/],
    ['no object', 5, /^files: expected an object/],
  ])('are refused by name: %s', async (_, files, message) => {
    const opening = Texts.fromFiles(files as TextFiles)
    await expect(opening).rejects.toThrow(ArgumentError)
    await expect(opening).rejects.toThrow(message)
  })

  it('that are broken name their file', async () => {
    const files = { 'tokenizer.json': new TextEncoder().encode('{') }
    const opening = Texts.fromFiles(files)
    await expect(opening).rejects.toThrow(FormatError)
    await expect(opening).rejects.toThrow(/^tokenizer\.json: /)
  })
})

describe('a fingerprint', () => {
  it('is the same wherever the same model is loaded, at any number of threads', async () => {
    await using other = await Pool.create({ threads: 1 })
    using a = await Model.load(pool, fixture)
    using b = await Model.load(other, fixture)
    const fingerprint = await a.fingerprint()
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/)
    expect(await b.fingerprint()).toBe(fingerprint)
  })

  it('differs with weights, outliers, and the KV cache', async () => {
    const options = [{}, { quantize: 'none' }, { outliers: 0 }, { kv: 'int8' }] as const
    const fingerprints = new Set<string>()
    for (const one of options) {
      using model = await Model.load(pool, fixture, one)
      fingerprints.add(await model.fingerprint())
    }
    expect(fingerprints.size).toBe(options.length)
  })

  it('is the same of a model that is saved and loaded again', async () => {
    await using folder = await temporaryFolder()
    using model = await Model.load(pool, fixture)
    await model.save(join(folder.path, 'saved'))
    using saved = await Model.load(pool, join(folder.path, 'saved'))
    expect(await saved.fingerprint()).toBe(await model.fingerprint())
  })

  it('is given up where its signal aborts', async () => {
    using model = await Model.load(pool, fixture)
    const reason = new Error('enough')
    await expect(model.fingerprint({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
