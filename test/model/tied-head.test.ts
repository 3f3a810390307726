import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { replaceLinears } from '#src/model/replace.js'
import { Pool } from '#src/pool/pool.js'
import { expectSameBits } from '../support/reference.js'
import {
  expectFormatError,
  loadMade,
  logitsOf,
  temporaryFolder,
  tinyConfig,
  tinyTensors,
  writeCheckpoint,
} from './support.js'

const EMBEDDING = 'model.embed_tokens.weight'
const HEAD = 'lm_head.weight'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const ids = [5, 900, 3, 3, 7]
const { [EMBEDDING]: matrix, ...others } = tinyTensors()
const headOnly = { ...others, [HEAD]: matrix }

describe('a tied head that is stored as lm_head.weight only', () => {
  it.each<LoadOptions>([{}, { quantize: 'none' }, { quantize: 'w8a8' }])(
    'serves as the embedding, too: %o',
    async (options) => {
      using usual = await loadMade(pool, tinyConfig, tinyTensors(), options)
      using model = await loadMade(pool, tinyConfig, headOnly, options)
      expectSameBits(await logitsOf(model, ids), await logitsOf(usual, ids))
    },
  )

  it('counts once as progress', async () => {
    const progress: [number, number][] = []
    const onProgress = (...now: [number, number]) => progress.push(now)
    using _model = await loadMade(pool, tinyConfig, headOnly, { onProgress })
    const bytes = Object.values(headOnly).reduce((sum, { data }) => sum + data.byteLength, 0)
    expect(progress.at(-1)).toEqual([bytes, bytes])
  })

  it('is saved that way, and loaded again', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, tinyConfig, headOnly)
    using model = await Model.load(pool, folder.path, { quantize: 'w8a8', kv: 'bfloat16' })
    const saved = join(folder.path, 'saved')
    await model.save(saved)
    using again = await Model.load(pool, saved)
    expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))
  })

  it('is read by either name', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, tinyConfig, headOnly)
    await using checkpoint = await Checkpoint.open(folder.path)
    const bytes = new Uint8Array(12 * 4)
    for (const name of [EMBEDDING, HEAD]) {
      expect(checkpoint.dtype(name)).toBe('F32')
      expect(checkpoint.fileOf(name)).toBe(checkpoint.file)
      const { data } = await checkpoint.read(name, [2048, 12])
      expect(await checkpoint.readFloat(name, [2048, 12])).toEqual(data)
      await checkpoint.readRows(name, 7, 8, bytes)
      expect(new Float32Array(bytes.buffer)).toEqual(data.slice(7 * 12, 8 * 12))
      for await (const chunk of checkpoint.chunks(name)) {
        expect(Buffer.compare(chunk, matrix.data)).toBe(0)
      }
    }
    using model = await loadMade(pool)
    const { skipped } = await replaceLinears(model, checkpoint, { skip: [] })
    expect(skipped).toContainEqual({ name: 'lm_head', reason: 'is stored as F32' })
  })
})

describe('a missing head is refused', () => {
  it('where neither name of a tied head is present', async () => {
    await expectFormatError(
      loadMade(pool, tinyConfig, others),
      /model\.embed_tokens\.weight is missing/,
    )
  })

  it('where the head is not tied', async () => {
    const config = { ...tinyConfig, tie_word_embeddings: false }
    await expectFormatError(
      loadMade(pool, config, headOnly),
      /model\.embed_tokens\.weight is missing/,
    )
    await expectFormatError(loadMade(pool, config, tinyTensors()), /lm_head\.weight is missing/)
  })
})
