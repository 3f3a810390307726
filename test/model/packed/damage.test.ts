import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DotpoolError } from '#src/errors.js'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { mutatedBytes, mutatedJson } from '../../support/mutated.js'
import { randomCheckpoint } from '../random-checkpoint.js'
import { expectFormatError, logitsOf, temporaryFolder } from '../support.js'
import { HEADER, packMade, readHeader, sign, withHeader } from './support.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let pool: Pool
let valid: Buffer
let headerBytes: number
let file: string
const ids = [1, 5, 9]

beforeAll(async () => {
  folder = await temporaryFolder()
  pool = await Pool.create({ threads: 1 })
  const made = randomCheckpoint('Qwen2ForCausalLM', {}, { biases: true })
  valid = await readFile(await packMade(pool, folder.path, made, { quantize: 'w4a8' }))
  headerBytes = Number(valid.readBigUInt64LE(24))
  file = join(folder.path, 'damaged.dotpool')
})
afterAll(async () => {
  await pool.close()
  await folder[Symbol.asyncDispose]()
})

async function load(bytes: Uint8Array, verify = false): Promise<Model> {
  await writeFile(file, bytes)
  return await Model.load(pool, file, { verify })
}

/** Changes the header, and confirms the change by its checksum. */
async function loadChanged(change: (header: ReturnType<typeof readHeader>) => void) {
  const header = readHeader(valid)
  change(header)
  return await load(withHeader(valid, header))
}

describe('a packed model is refused', () => {
  it.each([1, 7, 8, 31, 63, 64, 100, 5000, -1, -4096])('if truncated to %i bytes', async (end) => {
    const message = end >= 0 && end < 64 ? /GGUF|truncated/ : /truncated or damaged/
    await expectFormatError(load(valid.subarray(0, end)), message)
  })

  it('if something is appended', async () => {
    await expectFormatError(load(Buffer.concat([valid, Buffer.of(0)])), /truncated or damaged/)
  })

  it('if any byte of its preamble or header is flipped', async () => {
    for (let at = 0; at < HEADER + headerBytes; at += at < HEADER ? 5 : 397) {
      const bytes = Buffer.from(valid)
      bytes[at] ^= 1
      await expectFormatError(load(bytes), /./)
    }
  })

  it('if a weight is flipped and verify asks', async () => {
    const bytes = Buffer.from(valid)
    bytes[bytes.length - 1] ^= 1
    await expectFormatError(load(bytes, true), /weights do not match their checksum/)
    using model = await load(bytes)
    expect(model.config.vocabSize).toBe(53)
  })

  it('if it is of another version, byte order or layout', async () => {
    const version = Buffer.from(valid)
    version.writeUInt32LE(2, 8)
    await expectFormatError(
      load(sign(version)),
      /version 2 of the format, .* reads version 1; pack/,
    )
    const order = Buffer.from(valid)
    order.writeUInt32BE(0x01020304, 12)
    await expectFormatError(load(sign(order)), /another byte order/)
    const change = loadChanged((header) => {
      header.linears['model.layers.1.mlp.up_proj'].layout = '32c8'
    })
    await expectFormatError(change, /up_proj has int4 tiles of layout "32c8", .* read 64c8; pack/)
  })

  it.each<[string, (header: ReturnType<typeof readHeader>) => void, RegExp]>([
    ['is missing', (h) => delete h.linears.lm_head, /linears\.lm_head is not an object/],
    ['lies outside', ({ embedding }) => (embedding.data[0] = 2 ** 40), /do not lie in its/],
    ['begins before', ({ embedding }) => (embedding.data[0] = -64), /do not lie in its/],
    ['is not aligned', ({ embedding }) => (embedding.data[0] += 4), /64-byte aligned/],
    ['is too short', ({ linears }) => (linears.lm_head.scale[1] -= 4), /scale: expected 256 bytes/],
    ['is no array', ({ norms }) => (norms['model.norm'] = 'x'), /model\.norm: expected a list/],
    ['is another', ({ embedding, norms }) => (embedding.data[0] = norms['model.norm'][0]), /two/],
    ['is of a strange type', ({ embedding }) => (embedding.type = 'int4'), /type "int4" is not/],
    [
      'is tied without being so',
      ({ linears }) => (linears.lm_head = { type: 'embedding' }),
      /type/,
    ],
  ])('if an array %s', async (_, change, message) => {
    await expectFormatError(loadChanged(change), message)
  })

  it('as a checkpoint', async () => {
    await writeFile(file, valid)
    await expectFormatError(Checkpoint.open(file), /is a packed model, which Model.load takes/)
  })
})

it.skipIf(process.platform === 'win32')('does not wait for a FIFO', async () => {
  const fifo = join(folder.path, 'fifo')
  execFileSync('mkfifo', [fifo])
  await expectFormatError(Model.load(pool, fifo), /is a FIFO/)
})

describe('whatever a packed model says, it loads or is refused', () => {
  const outcome = async (bytes: Uint8Array) => {
    try {
      using model = await load(bytes)
      await logitsOf(model, ids)
    } catch (error) {
      if (!(error instanceof DotpoolError)) throw error
    }
  }

  it('with any bytes at its begin', async () => {
    const property = fc.asyncProperty(mutatedBytes(valid, { upTo: 4096 }), outcome)
    await fc.assert(property, { numRuns: 50 })
  })

  it('with any header that its checksum confirms', async () => {
    const property = fc.asyncProperty(mutatedJson(readHeader(valid)), (header) =>
      outcome(withHeader(valid, header)),
    )
    await fc.assert(property, { numRuns: 100 })
  })
})
