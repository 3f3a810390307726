import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError, DisposedError, FormatError } from '#src/errors.js'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { Safetensors } from '#src/model/checkpoint/safetensors.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { expectNothingOpen } from './open-files.js'
import {
  collect,
  expectFormatError,
  f32,
  fixture,
  type StoredTensor,
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

const [FIRST, SECOND] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']

/** Makes a folder with its tensors in two files; returns their index, not yet written. */
async function writeShards(folder: string): Promise<Record<string, string>> {
  await writeCheckpoint(folder)
  await rm(join(folder, 'model.safetensors'))
  const entries = Object.entries(tinyTensors())
  const index: Record<string, string> = {}
  for (const [file, part] of [
    [FIRST, entries.slice(0, 9)],
    [SECOND, entries.slice(9)],
  ] as const) {
    await writeFile(join(folder, file), safetensors(Object.fromEntries(part)))
    for (const [name] of part) index[name] = file
  }
  return index
}

async function writeIndex(folder: string, index: unknown): Promise<void> {
  const json = JSON.stringify({ metadata: { total_size: 1 }, weight_map: index })
  await writeFile(join(folder, 'model.safetensors.index.json'), json)
}

describe('a checkpoint in several files', () => {
  it('gives the logits of the same checkpoint in a single file', async () => {
    await using whole = await temporaryFolder()
    await using parts = await temporaryFolder()
    await writeCheckpoint(whole.path)
    await writeIndex(parts.path, await writeShards(parts.path))
    const logits: Float32Array[] = []
    for (const { path } of [whole, parts]) {
      using model = await Model.load(pool, path)
      logits.push((await model.logits([1, 2, 3])).data)
    }
    expect(logits[1]).toEqual(logits[0])
    await using checkpoint = await Checkpoint.open(parts.path)
    expect(checkpoint.names.toSorted()).toEqual(Object.keys(tinyTensors()).toSorted())
    expect(checkpoint.fileOf('model.norm.weight')).toBe(join(parts.path, FIRST))
    expect(checkpoint.file).toBe(join(parts.path, 'model.safetensors.index.json'))
  })

  const name = 'model.norm.weight'
  it.each<[string, (index: Record<string, string>) => unknown, RegExp]>([
    [
      'a tensor missing from its file',
      (index) => ({ ...index, stranger: SECOND }),
      /00002-of-00002\.safetensors: tensor stranger is missing, but model\.safetensors\.index\.json/,
    ],
    [
      'a tensor in another file',
      (index) => ({ ...index, [name]: SECOND }),
      /00001-of-00002\.safetensors: tensor model\.norm\.weight is here, but .* places it in model-00002/,
    ],
    [
      'a tensor missing from the index',
      (index) => ({ ...index, [name]: undefined }),
      /00001.*: tensor model\.norm\.weight is here, but .* places it nowhere/,
    ],
    ['a missing file', (index) => ({ ...index, x: 'y.safetensors' }), /y\.safetensors: .*ENOENT/],
    [
      'a path',
      (index) => ({ ...index, x: '../y.safetensors' }),
      /index\.json: .* tensor x in "\.\./,
    ],
    [
      'another kind of file',
      () => ({ x: 'config.json' }),
      /tensor x in "config\.json", which is not a \.safe/,
    ],
    ['no name', () => ({ x: 3 }), /weight_map places tensor x in 3/],
    ['no map', () => undefined, /index\.json: weight_map is not an object/],
  ])('is refused for %s', async (_, change, message) => {
    await using folder = await temporaryFolder()
    await writeIndex(folder.path, change(await writeShards(folder.path)))
    using _open = expectNothingOpen()
    await expectFormatError(Checkpoint.open(folder.path), message)
  })

  it('is refused for a tensor in two files, and for a truncated file', async () => {
    await using folder = await temporaryFolder()
    const index = await writeShards(folder.path)
    await writeIndex(folder.path, { ...index, x: 'more.safetensors' })
    const more = join(folder.path, 'more.safetensors')
    const x = f32([1], [0])
    await writeFile(more, safetensors({ x, [name]: x }))
    using _open = expectNothingOpen()
    await expectFormatError(
      Checkpoint.open(folder.path),
      /more.*: tensor model\.norm\.weight is here/,
    )
    await writeFile(more, safetensors({ x }))
    await truncate(more, 20)
    await expectFormatError(Checkpoint.open(folder.path), /more\.safetensors: a header of/)
  })

  it('opens or throws a FormatError, whatever the index holds', async () => {
    await using folder = await temporaryFolder()
    const index = await writeShards(folder.path)
    const names = fc.oneof(fc.constantFrom(...Object.keys(index), '__proto__'), fc.string())
    const files = fc.oneof(fc.constantFrom(FIRST, SECOND), fc.string(), fc.jsonValue())
    const changes = fc.oneof(fc.dictionary(names, files, { maxKeys: 3 }), fc.jsonValue())
    using _open = expectNothingOpen()
    await fc.assert(
      fc.asyncProperty(changes, fc.boolean(), async (change, extend) => {
        await writeIndex(
          folder.path,
          extend && change instanceof Object ? { ...index, ...change } : change,
        )
        try {
          await (await Checkpoint.open(folder.path)).close()
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('names both files if neither exists', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    await rm(join(folder.path, 'model.safetensors'))
    const message = /model\.safetensors: neither it nor model\.safetensors\.index\.json exists/
    await expectFormatError(Checkpoint.open(folder.path), message)
  })
})

describe('text files beside the tensors', () => {
  const open = async (files: Record<string, unknown>) => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, { ...tinyConfig, eos_token_id: 7 })
    for (const [file, content] of Object.entries(files)) {
      const text = typeof content === 'string' ? content : JSON.stringify(content)
      await writeFile(join(folder.path, file), text)
    }
    await using checkpoint = await Checkpoint.open(folder.path)
    return checkpoint
  }

  it('can be missing', async () => {
    const checkpoint = await open({})
    expect(() => checkpoint.chatTemplate.render([{ role: 'user', content: 'hi' }])).toThrow(
      /messages: expected a checkpoint with a chat template/,
    )
    expect(checkpoint.config.eosTokenIds).toEqual([7])
  })

  it('add end-of-sequence tokens', async () => {
    const eos = async (eos_token_id: unknown) =>
      (await open({ 'generation_config.json': { eos_token_id } })).config.eosTokenIds
    expect(await eos([5, 7, 9])).toEqual([7, 5, 9])
    expect(await eos(5)).toEqual([7, 5])
    expect(await eos(null)).toEqual([7])
    await expectFormatError(
      eos([1.5]),
      /generation_config\.json: eos_token_id: expected a token id/,
    )
  })

  it('provide the chat template', async () => {
    const template = '{{ messages[0].content }}!'
    const { chatTemplate } = await open({ 'tokenizer_config.json': { chat_template: template } })
    expect(chatTemplate.render([{ role: 'user', content: 'hi' }])).toBe('hi!')
    await expectFormatError(
      open({ 'tokenizer_config.json': '{' }),
      /tokenizer_config\.json: not valid/,
    )
  })

  it('are needed for text only: weights open without a tokenizer', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    await using checkpoint = await Checkpoint.open(folder.path)
    expect(checkpoint.tokenizer).toBeUndefined()
    using model = await Model.load(pool, folder.path)
    expect((await collect(model.generateTokens([5], { maxTokens: 2 }))).length).toBeGreaterThan(0)
    expect(() => model.generate('hi')).toThrow(/there is no tokenizer\.json/)
  })
})

describe('readRows', () => {
  const name = 'model.layers.0.mlp.up_proj.weight'

  it('reads the bytes of the rows asked for', async () => {
    await using checkpoint = await Checkpoint.open(fixture)
    const [rows, columns] = checkpoint.entry(name).dims
    expect(checkpoint.dtype(name)).toBe('I8')
    const { data } = await checkpoint.read(name, [rows, columns])
    const into = new Uint8Array(new SharedArrayBuffer(5 * columns))
    await checkpoint.readRows(name, 10, 15, into)
    expect(new Int8Array(into.buffer)).toEqual(
      new Int8Array(data.slice(10 * columns, 15 * columns)),
    )
    await checkpoint.readRows(name, rows, rows, new Uint8Array(0))
    const embedding = 'model.embed_tokens.weight'
    const last = new Uint8Array(2 * 256)
    await checkpoint.readRows(embedding, 2047, 2048, last)
    const whole = await checkpoint.read(embedding, [2048, 256])
    expect(new Uint16Array(last.buffer)).toEqual(new Uint16Array(whole.data.slice(2047 * 256)))
  })

  it('refuses rows out of range, other tensors, and work after close or abort', async () => {
    await using checkpoint = await Checkpoint.open(fixture)
    const [rows, columns] = checkpoint.entry(name).dims
    const row = new Uint8Array(columns)
    await expect(checkpoint.readRows(name, rows, rows + 1, row)).rejects.toThrow(ArgumentError)
    await expect(checkpoint.readRows(name, 2, 1, row)).rejects.toThrow(
      /lastRow: expected an integer/,
    )
    await expect(checkpoint.readRows(name, 0, 2, row)).rejects.toThrow(
      /into: expected a Uint8Array of/,
    )
    await expectFormatError(checkpoint.readRows('x', 0, 1, row), /tensor x is missing/)
    const norm = checkpoint.readRows('model.norm.weight', 0, 1, row)
    await expectFormatError(
      norm,
      /tensor model\.norm\.weight: expected a matrix, got shape \[256\]/,
    )
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(checkpoint.readRows(name, 0, 1, row, signal)).rejects.toThrow('enough')
    await checkpoint.close()
    await expect(checkpoint.readRows(name, 0, 1, row)).rejects.toThrow(DisposedError)
  })
})

describe('readFloat', () => {
  const half = (bits: number[]): StoredTensor => ({
    dtype: 'F16',
    shape: [bits.length],
    data: new Uint8Array(Uint16Array.from(bits).buffer),
  })
  const open = async (folder: string, tensor: StoredTensor) => {
    await writeFile(join(folder, 'x'), safetensors({ t: tensor }))
    return await Safetensors.open(join(folder, 'x'))
  }

  it('widens every float16 exactly', async () => {
    await using folder = await temporaryFolder()
    await using file = await open(
      folder.path,
      half(Array.from({ length: 65536 }, (_, bits) => bits)),
    )
    const floats = await file.readFloat('t')
    for (let bits = 0; bits < 65536; bits++) {
      const sign = bits >> 15 ? -1 : 1
      const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023]
      const value =
        exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : exponent === 0
            ? fraction * 2 ** -24
            : (1 + fraction / 1024) * 2 ** (exponent - 15)
      if (!Object.is(floats[bits], Number.isNaN(value) ? NaN : sign * value)) {
        expect.fail(`bits ${bits}: ${floats[bits]} is not ${sign * value}`)
      }
    }
  })

  it('reads block after block, and counts the bytes of the file', async () => {
    await using folder = await temporaryFolder()
    const count = (1 << 20) + 3
    await using file = await open(folder.path, half(new Array(count).fill(0x3c00)))
    const progress: [number, number][] = []
    const floats = await file.readFloat('t', { onProgress: (...now) => progress.push(now) })
    expect(floats.length).toBe(count)
    expect(floats.every((value) => value === 1)).toBe(true)
    expect(progress).toEqual([
      [2 << 20, 2 * count],
      [2 * count, 2 * count],
    ])
  })

  it('makes a float16 model run like a float32 one', async () => {
    const [float32, float16] = [tinyTensors(), tinyTensors()]
    for (const [name, { shape }] of Object.entries(float32)) {
      const bits = Array.from(
        { length: shape.reduce((a, b) => a * b) },
        (_, i) => 0x3400 + (i % 99),
      )
      float16[name] = { ...half(bits), shape }
      float32[name] = f32(
        shape,
        bits.map((value) => 0.25 * (1 + (value & 1023) / 1024)),
      )
    }
    const logits: Float32Array[] = []
    for (const tensors of [float32, float16]) {
      await using folder = await temporaryFolder()
      await writeCheckpoint(folder.path, tinyConfig, tensors)
      using model = await Model.load(pool, folder.path)
      logits.push((await model.logits([1, 2])).data)
    }
    expect(logits[1]).toEqual(logits[0])
  })
})
