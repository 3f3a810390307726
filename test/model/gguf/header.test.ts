import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DisposedError, FormatError } from '#src/errors.js'
import { parseConfig } from '#src/model/config/config.js'
import { GgufFile } from '#src/model/gguf/gguf-file.js'
import { GgufTensors } from '#src/model/gguf/gguf-tensors.js'
import { openGguf } from '#src/model/gguf/open.js'
import { parseGguf } from '#src/model/text/thread/gguf-documents.js'
import { TextEngine } from '#src/model/text/thread/text-engine.js'
import {
  array,
  bool,
  float32,
  ggmlTypes,
  gguf,
  int32,
  string,
  strings,
  uint16,
  uint32,
} from '../../support/gguf.js'
import { mutatedBytes } from '../../support/mutated.js'
import { expectNothingOpen } from '../open-files.js'
import { expectFormatError, f32, temporaryFolder } from '../support.js'

const { F32, Q8_0, Q6_K } = ggmlTypes

const tensor = (type: number, dims: number[], bytes: number) => ({
  type,
  dims,
  data: Uint8Array.from({ length: bytes }, (_, i) => i * 7),
})

const valid = gguf(
  {
    'general.architecture': string('llama'),
    'a.number': uint32(7),
    'a.float': float32(1e-5),
    'a.flag': bool(true),
    'a.list': array([int32(-1), int32(5)]),
    texts: strings(['ä', '', 'c']),
  },
  { a: tensor(F32, [2, 3], 24), b: tensor(Q8_0, [2, 64], 136), c: tensor(Q6_K, [256], 210) },
)

/** Opens the bytes as a file and reads everything in it. */
async function readAll(bytes: Uint8Array, folder: string): Promise<number> {
  const file = join(folder, 'x.gguf')
  await writeFile(file, bytes)
  await using tensors = new GgufTensors(await GgufFile.open(file), undefined)
  for (const [name, { dtype, byteLength }] of tensors.entries) {
    await (dtype === 'F16' ? tensors.readFloat(name) : tensors.read(name))
    await tensors.readBytes(name, 0, new Uint8Array(byteLength))
  }
  return tensors.entries.size
}

/** The valid file, changed at the only place where these bytes occur. */
function changed(from: Uint8Array | string, to: Uint8Array | string): Buffer {
  const [before, after] = [Buffer.from(from), Buffer.from(to)]
  const at = valid.indexOf(before)
  expect(at).toBeGreaterThan(0)
  expect(valid.indexOf(before, at + 1)).toBe(-1)
  const copy = Buffer.from(valid)
  after.copy(copy, at)
  return copy
}

const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer)
const u64 = (value: bigint) => Buffer.from(BigUint64Array.of(value).buffer)
const text = (value: string) => Buffer.concat([u64(BigInt(value.length)), Buffer.from(value)])

describe('reading', () => {
  it('returns every field and tensor', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.gguf')
    await writeFile(file, valid)
    const opened = await GgufFile.open(file)
    const { metadata } = opened
    expect(metadata.text('general.architecture')).toBe('llama')
    expect(metadata.integer('a.number', 1)).toBe(7)
    expect(metadata.number('a.float')).toBe(1e-5)
    expect(metadata.boolean('a.flag', false)).toBe(true)
    expect([...(metadata.numbers('a.list') as Int32Array)]).toEqual([-1, 5])
    expect(metadata.texts('texts')).toEqual(['ä', '', 'c'])
    await using tensors = new GgufTensors(opened, undefined)
    expect([...tensors.entries.keys()]).toEqual(['a', 'b', 'c'])
    expect(tensors.entry('a')).toMatchObject({ dtype: 'F32', dims: [2, 3], byteLength: 24 })
    expect(tensors.entry('b')).toMatchObject({ dtype: 'F32', dims: [2, 64], byteLength: 512 })
    expect(tensors.dataBytes).toBe(24 + 136 + 210)
    await tensors.close()
    await expect(tensors.read('a')).rejects.toThrow(DisposedError)
  })

  it('returns any part of a tensor, with rows in their order', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.gguf')
    const values = Array.from({ length: 16 * 3 }, (_, i) => i)
    const { data } = f32([16, 3], values)
    await writeFile(file, gguf({}, { 'blk.0.attn_q.weight': { type: F32, dims: [16, 3], data } }))
    await using tensors = new GgufTensors(await GgufFile.open(file), 4)
    const [name] = tensors.entries.keys()
    expect(name).toBe('model.layers.0.self_attn.q_proj.weight')
    // rows 0 2 1 3 of each head of 4
    const whole = await tensors.readFloat(name)
    const rows = Array.from({ length: 16 }, (_, i) => whole[3 * i] / 3)
    expect(rows).toEqual([0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15])
    const bytes = new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length), fc.nat(bytes.length), async (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        const part = new Uint8Array(to - from)
        await tensors.readBytes(name, from, part)
        expect(Buffer.compare(part, bytes.subarray(from, to))).toBe(0)
      }),
    )
  })

  it('stops between chunks, and reports progress', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.gguf')
    const rows = 3000
    await writeFile(file, gguf({}, { a: tensor(Q8_0, [rows, 1024], rows * 32 * 34) }))
    await using tensors = new GgufTensors(await GgufFile.open(file), undefined)
    const progress: number[] = []
    await tensors.readFloat('a', { onProgress: (done) => progress.push(done) })
    expect(progress.length).toBeGreaterThan(3)
    expect(progress.at(-1)).toBe(rows * 4096)
    const controller = new AbortController()
    const aborted = tensors.readFloat('a', {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    })
    await expect(aborted).rejects.toThrow('enough')
  })
})

describe('a file that breaks the format', () => {
  const head = (version: number, tensors: bigint, fields: bigint) =>
    Buffer.concat([Buffer.from('GGUF'), u32(version), u64(tensors), u64(fields)])
  const field = (key: string, ...value: Uint8Array[]) =>
    Buffer.concat([head(3, 0n, 1n), text(key), ...value, Buffer.alloc(64)])
  const twoFields = (...keys: string[]) =>
    Buffer.concat([head(3, 0n, 2n), ...keys.flatMap((key) => [text(key), u32(0), Buffer.of(1)])])
  const broken = field('key', u32(4)).fill(0xff, 32, 33)
  const one = (dims: bigint[], type: number, offset = 0n) =>
    Buffer.concat([
      head(3, 1n, 0n),
      text('t'),
      u32(dims.length),
      ...dims.map(u64),
      u32(type),
      u64(offset),
      Buffer.alloc(64),
    ])

  it.each<[string, Uint8Array, RegExp]>([
    ['no bytes', new Uint8Array(0), /x\.gguf: is not a GGUF file/],
    ['another magic number', Buffer.from('GGML000000000'), /is not a GGUF file/],
    ['the first version', head(1, 0n, 0n), /GGUF version 1 is not supported, only little-endian/],
    ['the other endianness', head(0x03000000, 0n, 0n), /big-endian GGUF is not supported/],
    ['half a header', head(3, 0n, 0n).subarray(0, 20), /truncated: the number of fields takes 8/],
    ['2^63 tensors', head(3, 1n << 63n, 0n), /922337203685477\d+ tensors are more than the file/],
    ['2^40 fields', head(3, 0n, 1n << 40n), /1099511627776 fields are more than the file can hold/],
    ['a long key', changed(text('a.number'), u64(1n << 60n)), /the key of field 1 takes 11529/],
    ['a duplicate key', twoFields('k', 'k'), /field k appears twice/],
    ['a key in invalid UTF-8', broken, /the key of field 0 is not valid UTF-8/],
    ['an unknown type', field('k', u32(13)), /k: no field has type 13/],
    ['a list of lists', field('k', u32(9), u32(9), u64(1n)), /k: no field has type 9/],
    [
      'a long text',
      field('k', u32(8), u64(1n << 50n)),
      /truncated: k takes 1125899906842624 bytes/,
    ],
    [
      'a long list',
      field('k', u32(9), u32(5), u64(1n << 61n)),
      /k: 2305843009213\d+ elements are more/,
    ],
    ['a long list of strings', field('k', u32(9), u32(8), u64(99n)), /k: 99 elements are more/],
    ['an odd alignment', field('general.alignment', u32(4), u32(24)), /24 is not a power of two/],
    ['an alignment of 0', field('general.alignment', u32(4), u32(0)), /expected an integer of at/],
    [
      'a huge alignment',
      field('general.alignment', u32(4), u32(1 << 30)),
      /not a power of two up to/,
    ],
    ['no dimensions', one([], F32), /tensor t: 0 dimensions/],
    ['5 dimensions', one([1n, 1n, 1n, 1n, 1n], F32), /tensor t: 5 dimensions/],
    [
      '2^32 dimensions',
      Buffer.concat([head(3, 1n, 0n), text('t'), Buffer.alloc(64, 255)]),
      /4294967295 d/,
    ],
    ['an empty shape', one([0n], F32), /tensor t: shape \[0\] is empty or too large/],
    ['a huge shape', one([1n << 40n, 1n << 40n], F32), /is empty or too large/],
    ['an unknown tensor type', one([1n], 99), /tensor t: type 99 is not supported, only F32, F16/],
    ['an unsupported type', one([256n], 16), /tensor t: type IQ2_XXS is not supported/],
    ['half a block', one([16n], Q8_0), /rows of 16 are not a multiple of Q8_0's blocks of 32/],
    ['a wrong offset', one([1n], F32, 32n), /tensor t: begins at 32 of the data, not at 0/],
    ['an offset of 2^64', one([1n], F32, (1n << 64n) - 1n), /tensor t: begins at 184467440737/],
    ['too little data', one([32n], F32), /truncated: tensor t ends at \d+ of \d+ bytes/],
    ['an overlap', changed(u64(32n), u64(0n)), /tensor b: begins at 0 of the data, not at 32/],
    ['truncated data', valid.subarray(0, -100), /truncated: tensor c ends at/],
    [
      'a duplicate name',
      gguf({}, { a: tensor(F32, [1], 4), b: tensor(F32, [1], 4) }).fill(
        'a',
        24 + 8 + 1 + 24 + 8,
        24 + 8 + 1 + 24 + 9,
      ),
      /tensor a appears twice/,
    ],
  ])('%s', async (_, bytes, message) => {
    await using folder = await temporaryFolder()
    using _open = expectNothingOpen()
    await expectFormatError(readAll(bytes, folder.path), message)
  })

  it('is refused before memory is allocated, if its header claims a giant size', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.gguf')
    await writeFile(file, field('k', u32(9), u32(0), u64(BigInt(2 ** 40))))
    await truncate(file, 2 ** 41) // sparse
    using _open = expectNothingOpen()
    await expectFormatError(GgufFile.open(file), /a header of more than 40000000 bytes/)
  })

  it('is named when it cannot be read, or shrank after it was opened', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.gguf')
    await expectFormatError(GgufFile.open(file), /x\.gguf: cannot be read: ENOENT/)
    await writeFile(file, valid)
    await using tensors = new GgufTensors(await GgufFile.open(file), undefined)
    await writeFile(file, '')
    await expectFormatError(tensors.read('a'), /truncated: it ends/)
  })
})

describe('any bytes', () => {
  const files = fc.oneof(
    { arbitrary: mutatedBytes(valid), weight: 4 },
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.concat([valid.subarray(0, 24), bytes])),
    fc.uint8Array({ maxLength: 64 }),
  )

  it('either read as tensors or throw a FormatError, and no file stays open', async () => {
    await using folder = await temporaryFolder()
    using _open = expectNothingOpen()
    let read = 0
    await fc.assert(
      fc.asyncProperty(files, async (bytes) => {
        try {
          await readAll(bytes, folder.path)
          read++
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
      { numRuns: 500 },
    )
    expect(read).toBeGreaterThan(30)
  })

  it("either yield a checkpoint's parts or throw a FormatError", async () => {
    const model = gguf(
      {
        'general.architecture': string('qwen2'),
        'qwen2.block_count': uint32(1),
        'qwen2.context_length': uint32(64),
        'qwen2.embedding_length': uint32(8),
        'qwen2.feed_forward_length': array([uint32(8)]),
        'qwen2.attention.head_count': uint32(2),
        'qwen2.attention.layer_norm_rms_epsilon': float32(1e-6),
        'tokenizer.ggml.model': string('gpt2'),
        'tokenizer.ggml.pre': string('qwen2'),
        'tokenizer.ggml.tokens': strings(['a', 'b', 'ab']),
        'tokenizer.ggml.token_type': array([int32(1), int32(1), int32(3)]),
        'tokenizer.ggml.merges': strings(['a b']),
        'tokenizer.ggml.eos_token_id': uint32(2),
        'tokenizer.chat_template': string('{{ messages }}'),
        'split.count': uint16(1),
      },
      { 'token_embd.weight': tensor(F32, [3, 8], 96) },
    )
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.gguf')
    using _open = expectNothingOpen()
    let opened = 0
    const files = mutatedBytes(model, { changes: 2, upTo: model.length - 96 })
    await fc.assert(
      fc.asyncProperty(files, async (bytes) => {
        await writeFile(file, bytes)
        try {
          const { text, config, shards } = await openGguf(file)
          await shards.close()
          parseConfig(file, config)
          new TextEngine(parseGguf(text))
          opened++
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
      { numRuns: 500 },
    )
    expect(opened).toBeGreaterThan(30)
  })
})
