import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DisposedError, FormatError } from '#src/errors.js'
import { Safetensors } from '#src/model/checkpoint/safetensors.js'
import { mutatedBytes } from '../support/mutated.js'
import { expectNothingOpen } from './open-files.js'
import {
  expectFormatError,
  f32,
  type StoredTensor,
  safetensors,
  temporaryFolder,
  withHeader,
} from './support.js'

/** Opens the bytes as a file and reads everything in it. */
async function readAll(bytes: Uint8Array, folder: string): Promise<number> {
  const file = join(folder, 'x.safetensors')
  await writeFile(file, bytes)
  await using tensors = await Safetensors.open(file)
  for (const name of tensors.entries.keys()) await tensors.read(name)
  return tensors.entries.size
}

const pair: Record<string, StoredTensor> = {
  a: f32([2, 2], [1, 2, 3, 4]),
  b: { dtype: 'BF16', shape: [3], data: new Uint8Array(6) },
  c: { dtype: 'I8', shape: [], data: Uint8Array.of(255) },
}

describe('reading', () => {
  it('returns every tensor in shared memory', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.safetensors')
    await writeFile(file, safetensors(pair))
    await using tensors = await Safetensors.open(file)
    const a = await tensors.read('a')
    expect(String(a)).toBe('Tensor(float32, [2, 2])')
    expect([...a.data]).toEqual([1, 2, 3, 4])
    expect(a.data.buffer).toBeInstanceOf(SharedArrayBuffer)
    expect(String(await tensors.read('b'))).toBe('Tensor(bfloat16, [3])')
    expect([...(await tensors.read('c')).data]).toEqual([-1])
  })

  it('accepts metadata, padding, empty tensors and a file without tensors', async () => {
    await using folder = await temporaryFolder()
    const header =
      '{"__metadata__":{"format":"pt"},"e":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]}}'
    expect(await readAll(withHeader(`${header}   `), folder.path)).toBe(1)
    expect(await readAll(withHeader('{}'), folder.path)).toBe(0)
  })

  it('reads large tensors in chunks, with progress and abort between them', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.safetensors')
    const bytes = 40 << 20
    await writeFile(
      file,
      safetensors({ big: { dtype: 'I8', shape: [bytes], data: new Uint8Array(bytes).fill(7) } }),
    )
    await using tensors = await Safetensors.open(file)
    const progress: number[] = []
    const { data } = await tensors.read('big', { onProgress: (done) => progress.push(done) })
    expect(data.every((value) => value === 7)).toBe(true)
    expect(progress).toEqual([16 << 20, 32 << 20, bytes])

    const controller = new AbortController()
    const aborted = tensors.read('big', {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    })
    await expect(aborted).rejects.toThrow('enough')
  })

  it('refuses unknown names and dtypes, and work after close', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.safetensors')
    const half = { dtype: 'F16', shape: [1], data: new Uint8Array(2) }
    await writeFile(file, safetensors({ half }))
    const tensors = await Safetensors.open(file)
    await expectFormatError(tensors.read('none'), /x\.safetensors: tensor none is missing/)
    await expectFormatError(
      tensors.read('half'),
      /tensor half: dtype F16 is not supported, only F32, BF16, I8, I32/,
    )
    await tensors.close()
    await expect(tensors.read('half')).rejects.toThrow(DisposedError)
  })
})

describe('a header that breaks the format', () => {
  const entry = (fields: object) =>
    JSON.stringify({ t: { dtype: 'I8', shape: [4], data_offsets: [0, 4], ...fields } })
  const four = new Uint8Array(4)
  const two = (a: number[], b: number[]) =>
    JSON.stringify({
      a: { dtype: 'I8', shape: [a[1] - a[0]], data_offsets: a },
      b: { dtype: 'I8', shape: [b[1] - b[0]], data_offsets: b },
    })

  it.each<[string, Uint8Array, RegExp]>([
    ['no bytes', new Uint8Array(0), /0 bytes are too few for a header/],
    ['a length beyond the file', withHeader('{}').subarray(0, 9), /a header of 2 bytes, in a file/],
    [
      'a length of 2^63',
      Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128, 123),
      /header of 9223372036854775808/,
    ],
    ['invalid JSON', withHeader('{"t"'), /not valid JSON/],
    ['invalid UTF-8', withHeader('{}', four).fill(255, 9, 10), /not valid JSON/],
    ['a list', withHeader('[]'), /header is not an object/],
    ['an empty header', withHeader(''), /header is not an object/],
    ['a duplicate tensor', withHeader('{"t":1,"u":{"t":2},"\\u0074":3}'), /key "t" appears twice/],
    [
      'a duplicate field',
      withHeader('{"t":{"dtype":"I8","dtype":"I8"}}'),
      /key "dtype" appears twice/,
    ],
    [
      'an entry that is not an object',
      withHeader('{"t":null}'),
      /tensor t: its entry is not an object/,
    ],
    ['odd metadata', withHeader('{"__metadata__":{"a":1}}'), /__metadata__ is not/],
    ['an unknown dtype', withHeader(entry({ dtype: 'I7' }), four), /tensor t: unknown dtype "I7"/],
    [
      'deep nesting',
      withHeader(`{"t":${'['.repeat(4e5)}${']'.repeat(4e5)}}`),
      /tensor t: its entry/,
    ],
    ['a nested dtype', withHeader(entry({ dtype: [['I8']] }), four), /unknown dtype a list/],
    ['a negative size', withHeader(entry({ shape: [-4] }), four), /tensor t: shape is not/],
    ['a fractional size', withHeader(entry({ shape: [0.5] }), four), /tensor t: shape is not/],
    ['a huge shape', withHeader(entry({ shape: [2 ** 40, 2 ** 40, 0] }), four), /too large/],
    ['another byte length', withHeader(entry({ shape: [3] }), four), /takes 3 bytes.*span 4/],
    [
      'offsets in the wrong order',
      withHeader(entry({ data_offsets: [4, 0] }), four),
      /run backwards/,
    ],
    [
      'three offsets',
      withHeader(entry({ data_offsets: [0, 2, 4] }), four),
      /is not \[begin, end\]/,
    ],
    ['too little data', withHeader(entry({}), four.subarray(1)), /tensor t: ends at 4 of 3 bytes/],
    [
      'data that belongs to no tensor',
      withHeader(entry({}), four, four),
      /4 bytes after the last tensor/,
    ],
    ['an overlap', withHeader(two([0, 3], [2, 4]), four), /tensor b: .*overlaps/],
    ['a gap', withHeader(two([0, 1], [2, 4]), four), /tensor b: .*leaves a gap/],
  ])('%s', async (_, bytes, message) => {
    await using folder = await temporaryFolder()
    await expectFormatError(readAll(bytes, folder.path), message)
  })

  it('is refused before memory is allocated, if it claims a giant size', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.safetensors')
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(200_000_000n)
    await writeFile(file, length)
    await truncate(file, 300_000_000) // sparse
    await expectFormatError(Safetensors.open(file), /a header of 200000000 bytes, more than/)
  })
})

it('refuses a tensor larger than any buffer, before it reads', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'x.safetensors')
  const size = 2 ** 43
  const header = { t: { dtype: 'I8', shape: [size], data_offsets: [0, size] } }
  const bytes = withHeader(JSON.stringify(header))
  await writeFile(file, bytes)
  await truncate(file, bytes.length + size) // sparse
  await using tensors = await Safetensors.open(file)
  await expectFormatError(
    tensors.read('t'),
    /tensor t: cannot allocate a buffer of 8796093022208 bytes/,
  )
})

it('names a file that cannot be read', async () => {
  await using folder = await temporaryFolder()
  await expectFormatError(
    Safetensors.open(join(folder.path, 'none')),
    /none: cannot be read: ENOENT/,
  )
  await expectFormatError(Safetensors.open(folder.path), /cannot be read|is a folder/)
})

it('detects a file that shrank after it was opened', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'x.safetensors')
  await writeFile(file, safetensors(pair))
  await using tensors = await Safetensors.open(file)
  await writeFile(file, '')
  await expectFormatError(tensors.read('a'), /truncated: it ends 16 bytes before it should/)
})

describe('any bytes', () => {
  const valid = safetensors(pair)
  const offset = fc.oneof(fc.nat(12), fc.integer(), fc.double())
  const shape = fc.array(fc.oneof(fc.nat(4), fc.integer(), fc.constant(2 ** 40)), { maxLength: 3 })
  const entry = fc.record({
    dtype: fc.oneof(fc.constantFrom('F32', 'BF16', 'I8', 'F16', 'U64'), fc.string()),
    shape: fc.oneof(shape, fc.jsonValue()),
    data_offsets: fc.oneof(fc.tuple(offset, offset), fc.jsonValue()),
  })
  const files = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .uint8Array({ maxLength: 200 })
      .map((text) => withHeader(Buffer.from(text).toString('latin1'))),
    fc.json().map((header) => withHeader(header)),
    fc
      .tuple(fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue())), fc.uint8Array())
      .map(([header, data]) => withHeader(JSON.stringify(header), data)),
    mutatedBytes(valid),
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
    expect(read).toBeGreaterThan(0)
  })

  /** A file of random tensors, with some bytes changed or cut off. */
  const mutated = fc
    .dictionary(
      fc.string(),
      fc.tuple(
        fc.constantFrom('F32', 'BF16', 'F16', 'I8', 'I32'),
        fc.array(fc.nat(5), { maxLength: 3 }),
      ),
      { maxKeys: 4 },
    )
    .chain((tensors) => {
      const stored = Object.entries(tensors).map(([name, [dtype, shape]]) => {
        const itemSize = { F32: 4, I32: 4, BF16: 2, F16: 2, I8: 1 }[dtype]
        const size = shape.reduce((a, b) => a * b, itemSize)
        return [name, { dtype, shape, data: Uint8Array.from({ length: size }, (_, i) => i * 7) }]
      })
      return mutatedBytes(safetensors(Object.fromEntries(stored)), { changes: 2 })
    })

  it('read exactly, within the size of the file, if they read at all', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.safetensors')
    using _open = expectNothingOpen()
    let read = 0
    await fc.assert(
      fc.asyncProperty(mutated, async (bytes) => {
        await writeFile(file, bytes)
        try {
          await using tensors = await Safetensors.open(file)
          const view = new DataView(bytes.buffer, bytes.byteOffset)
          let end = 8 + Number(view.getBigUint64(0, true))
          for (const [name, { dtype, byteLength }] of tensors.entries) {
            const into = new Uint8Array(byteLength)
            await tensors.readBytes(name, 0, into)
            const inFile = bytes.subarray(end, end + byteLength)
            expect(Buffer.compare(into, inFile)).toBe(0)
            end += byteLength
            if (dtype === 'F16') await tensors.readFloat(name)
            else await tensors.read(name)
          }
          expect(end).toBe(bytes.length)
          read++
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 300 },
    )
    expect(read).toBeGreaterThan(30)
  })
})
