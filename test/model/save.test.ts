import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { type SaveOptions, saveCheckpoint } from '#src/model/checkpoint/save.js'
import { storedTensor, type TensorSource } from '#src/model/checkpoint/tensor-source.js'
import type { Tensor } from '#src/tensor.js'
import { expectNothingOpen } from './open-files.js'
import { expectFormatError, fixture, readJson, temporaryFolder } from './support.js'

const ignore = ['lm_head']

function source(
  name: string,
  dtype: string,
  dims: number[],
  ...chunks: Uint8Array[]
): TensorSource {
  return { name, dtype, dims, chunks: () => chunks }
}

const bytes = (...values: number[]) => Uint8Array.from(values)

const pair = [
  source('a', 'I8', [2, 3], bytes(1, 2), bytes(3, 4, 5, 6)),
  source('b', 'F32', [1], bytes(0, 0, 128, 63)),
]

const bytesOf = ({ data }: Tensor) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** Saves tensors under the fixture's config and tokenizer. */
async function save(folder: string, tensors: Iterable<TensorSource>, options?: SaveOptions) {
  await saveCheckpoint(folder, { source: fixture, ignore, tensors }, options)
}

async function saveFixture(folder: string, options?: SaveOptions): Promise<void> {
  await using checkpoint = await Checkpoint.open(fixture)
  await save(
    folder,
    checkpoint.names.map((name) => storedTensor(checkpoint, name)),
    options,
  )
}

describe('a saved checkpoint', () => {
  it.each([
    ['in one file', 5e9, 1],
    ['in several files', 2e6, 4],
  ])('%s equals its source', async (_, shardBytes, files) => {
    await using parent = await temporaryFolder()
    const folder = join(parent.path, 'saved')
    await saveFixture(folder, { shardBytes })
    expect(await readdir(parent.path)).toEqual(['saved'])
    const written = await readdir(folder)
    expect(written.filter((file) => file.endsWith('.safetensors')).length).toBe(files)
    expect(written.includes('model.safetensors.index.json')).toBe(files > 1)
    expect(readJson(join(folder, 'config.json'))).toEqual(readJson(join(fixture, 'config.json')))
    const tokenizer = await readFile(join(fixture, 'tokenizer.json'))
    expect(await readFile(join(folder, 'tokenizer.json'))).toEqual(tokenizer)

    await using original = await Checkpoint.open(fixture)
    await using saved = await Checkpoint.open(folder)
    expect(saved.names.toSorted()).toEqual(original.names.toSorted())
    for (const name of original.names) {
      const { dtype, dims } = original.entry(name)
      expect(saved.entry(name)).toMatchObject({ dtype, dims })
      const [copy, first] = [await saved.read(name, dims), await original.read(name, dims)]
      if (Buffer.compare(bytesOf(copy), bytesOf(first)) !== 0) expect.fail(name)
    }
  })

  it('has an index as transformers writes it', async () => {
    await using parent = await temporaryFolder()
    const folder = join(parent.path, 'saved')
    await save(folder, pair, { shardBytes: 1 })
    expect(readJson(join(folder, 'model.safetensors.index.json'))).toEqual({
      metadata: { total_size: 10 },
      weight_map: {
        a: 'model-00001-of-00002.safetensors',
        b: 'model-00002-of-00002.safetensors',
      },
    })
  })

  it('aligns tensors, the widest dtype first, and names its writer in the header', async () => {
    await using parent = await temporaryFolder()
    const folder = join(parent.path, 'saved')
    await save(folder, pair)
    const file = await readFile(join(folder, 'model.safetensors'))
    const length = Number(file.readBigUInt64LE())
    expect(length % 8).toBe(0)
    expect(JSON.parse(file.toString('utf8', 8, 8 + length))).toEqual({
      __metadata__: { format: 'pt' },
      b: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      a: { dtype: 'I8', shape: [2, 3], data_offsets: [4, 10] },
    })
    expect([...file.subarray(8 + length)]).toEqual([0, 0, 128, 63, 1, 2, 3, 4, 5, 6])
  })

  it('can stream from reused shared memory, and reports progress', async () => {
    await using parent = await temporaryFolder()
    const folder = join(parent.path, 'saved')
    const piece = new Uint8Array(new SharedArrayBuffer(2))
    async function* chunks() {
      for (let i = 0; i < 3; i++) yield piece.fill(i)
    }
    const progress: [number, number][] = []
    await save(folder, [{ name: 'a', dtype: 'I8', dims: [3, 2], chunks }], {
      onProgress: (...now) => progress.push(now),
    })
    await using saved = await Checkpoint.open(folder)
    expect([...(await saved.read('a', [3, 2])).data]).toEqual([0, 0, 1, 1, 2, 2])
    expect(progress).toEqual([
      [2, 6],
      [4, 6],
      [6, 6],
    ])
  })

  it('replaces an empty folder, and no other', async () => {
    await using parent = await temporaryFolder()
    const folder = join(parent.path, 'saved')
    await mkdir(folder)
    await save(folder, pair)
    await expect(save(folder, pair)).rejects.toThrow(
      /folder: expected a new or an empty folder, got/,
    )
    await writeFile(join(parent.path, 'file'), '')
    await expect(save(join(parent.path, 'file'), pair)).rejects.toThrow(/ENOTDIR/)
    await expect(save(join(parent.path, 'no/folder'), pair)).rejects.toThrow(ArgumentError)
    expect((await readdir(parent.path)).toSorted()).toEqual(['file', 'saved'])
  })
})

describe('a failure leaves nothing behind', () => {
  async function* broken() {
    yield bytes(1, 2)
    throw new Error('the source broke')
  }

  it.each<[string, TensorSource[], RegExp]>([
    ['a source that breaks', [{ ...pair[0], chunks: broken }], /the source broke/],
    ['too few bytes', [source('a', 'I8', [3], bytes(1))], /tensors: expected 3 bytes of a, got 1/],
    [
      'too many bytes',
      [source('a', 'I8', [3], bytes(1, 2), bytes(3, 4))],
      /3 bytes of a, got more/,
    ],
    ['a name given twice', [pair[0], pair[0]], /tensors: expected every name once, got a twice/],
    [
      'a name that tensors cannot have',
      [source('__metadata__', 'I8', [0])],
      /expected names of tensors/,
    ],
    ['an unknown dtype', [source('a', 'I4', [0])], /for a one of BOOL, .*, got "I4"/],
    ['a negative size', [source('a', 'I8', [-1, -1])], /for a a list of sizes, got \[-1,-1\]/],
    ['a huge shape', [source('a', 'I8', [2 ** 40, 2 ** 40])], /for a a list of sizes/],
  ])('%s', async (_, tensors, message) => {
    await using parent = await temporaryFolder()
    using _open = expectNothingOpen()
    await expect(save(join(parent.path, 'saved'), tensors)).rejects.toThrow(message)
    expect(await readdir(parent.path)).toEqual([])
  })

  it('an abort', async () => {
    await using parent = await temporaryFolder()
    using _open = expectNothingOpen()
    const controller = new AbortController()
    const saving = saveFixture(join(parent.path, 'saved'), {
      signal: controller.signal,
      onProgress: (done, total) => {
        if (done > total / 2) controller.abort(new Error('enough'))
      },
    })
    await expect(saving).rejects.toThrow('enough')
    expect(await readdir(parent.path)).toEqual([])
  })

  it('a source folder without a config.json to load', async () => {
    await using parent = await temporaryFolder()
    const saved = join(parent.path, 'saved')
    const content = { source: parent.path, ignore, tensors: pair }
    await expectFormatError(saveCheckpoint(saved, content), /config\.json: cannot be read: ENOENT/)
    await writeFile(join(parent.path, 'config.json'), '{"architectures":["X"]}')
    await expectFormatError(saveCheckpoint(saved, content), /architecture "X" is not supported/)
    expect(await readdir(parent.path)).toEqual(['config.json'])
  })
})
