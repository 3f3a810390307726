import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Checkpoint, float32ToBf16, Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect } from '../model/support.js'
import { needLibrary } from '../support/isas.js'
import { askLlamaCpp, hasLlamaCpp, llamaCppNote } from '../support/llama-cpp.js'

const fetched = new URL('../../node_modules/.cache/dotpool/smollm2.gguf', import.meta.url)

/** SmolLM2-135M-Instruct: from a wheel of PyPI's, as a folder made of it, and what PyTorch computes. */
const file = fileURLToPath(fetched)
const folder = process.env.DOTPOOL_REAL_MODEL ?? ''
const reference = fileURLToPath(new URL('../../../shared/real/reference.json', import.meta.url))
const note = (has: boolean, what: string) => (has ? '' : ` (skipped: ${what})`)
const hasFile = existsSync(file)
const fileNote = note(hasFile, '`node scripts/fetch-gguf.js` fetches the model')
const hasFolder = hasFile && folder !== ''
const folderNote = note(hasFolder, 'DOTPOOL_REAL_MODEL names no folder')
const hasReference = hasFile && existsSync(reference)
const referenceNote = note(hasReference, 'no ../shared/real')

/**
 * Below this margin between the two best logits, rounding may decide which is the best: PyTorch had the
 * weights in bfloat16.
 */
const UNDECIDED = 0.05

needLibrary()

interface Chat {
  prompt: string
  ids: number[]
  greedy: number[]
  margins: number[]
}

describe.skipIf(!hasFile)(`a real model in GGUF${fileNote}`, { timeout: 900_000 }, () => {
  let pool: Pool
  let model: Model
  beforeAll(async () => {
    pool = await Pool.create()
    model = await Model.load(pool, file, { quantize: 'none' })
  })
  afterAll(async () => {
    model?.dispose()
    await pool?.close()
  })

  const greedy = (prompt: number[], maxTokens: number) =>
    collect(model.generateIds(prompt, { maxTokens, sampling: { temperature: 0 } }))

  describe.skipIf(!hasReference)(`beside PyTorch${referenceNote}`, () => {
    const chats = (): Chat[] => JSON.parse(readFileSync(reference, 'utf8')).chats

    it('writes a chat by its own template, in the tokens of the reference', () => {
      for (const { prompt, ids } of chats()) {
        expect(model.encode([{ role: 'user', content: prompt }])).toEqual(ids)
      }
    })

    it('predicts the tokens of the reference, in float', async () => {
      const { vocabSize } = model.config
      for (const { ids, greedy, margins } of chats()) {
        const { data } = await model.logits([...ids, ...greedy.slice(0, -1)])
        for (const [i, token] of greedy.entries()) {
          const at = (ids.length - 1 + i) * vocabSize
          const row = data.subarray(at, at + vocabSize)
          const best = row.reduce((best, logit, j) => (logit > row[best] ? j : best), 0)
          if (best !== token) expect(margins[i], `token ${i}`).toBeLessThan(UNDECIDED)
        }
      }
    })
  })

  it.skipIf(!hasFolder)(`has the tokens and weights of the folder${folderNote}`, async () => {
    await using inFile = await Checkpoint.open(file)
    await using inFolder = await Checkpoint.open(folder)
    expect(inFile.names.toSorted()).toEqual(inFolder.names.toSorted())
    const { eosTokenIds, ...config } = inFile.config
    const { eosTokenIds: expected, ...others } = inFolder.config
    expect(config).toEqual(others)
    expect(eosTokenIds).toEqual(expect.arrayContaining([...expected]))
    for (const name of inFolder.names) {
      const { dims } = inFolder.entry(name)
      const bits = float32ToBf16(await inFile.readFloat(name, dims))
      const { data } = await inFolder.read(name, dims)
      const [a, b] = [bits, data].map((array) =>
        Buffer.from(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength),
      )
      if (Buffer.compare(a, b) !== 0) expect.fail(name)
    }
    const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    expect(inFile.tokenizer?.encode(text)).toEqual(inFolder.tokenizer?.encode(text))
  })

  it.skipIf(!hasLlamaCpp)(`continues as llama.cpp does${llamaCppNote}`, async () => {
    const prompts = ['The capital of France is', 'def fibonacci(n):\n', '1, 2, 3, 4,'].map((text) =>
      model.tokenizer.encode(text),
    )
    const { continuations } = await askLlamaCpp({ file, prompts, maxTokens: 16 })
    for (const [i, prompt] of prompts.entries()) {
      // its activations are in int8, and so decide otherwise where two tokens are nearly as likely
      const expected = continuations[i]
      const found = await greedy(prompt, 16)
      const differs = found.findIndex((token, j) => token !== expected[j])
      if (differs < 0) continue
      const { data } = await model.logits([...prompt, ...found.slice(0, differs)])
      const last = data.subarray(-model.config.vocabSize)
      expect(last[found[differs]] - last[expected[differs]]).toBeLessThan(1)
    }
  })
})
