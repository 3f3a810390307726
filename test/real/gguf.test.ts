import { existsSync, readFileSync } from 'node:fs'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Checkpoint, float32ToBf16, Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodePrompt } from '#src/model/generation/prompt.js'
import { GgufFile } from '#src/model/gguf/gguf-file.js'
import { temporaryFolder } from '../model/support.js'
import { ggmlTypes, ggufHeader } from '../support/gguf.js'
import { needLibrary } from '../support/isas.js'
import { askLlamaCpp, hasLlamaCpp, llamaCppNote } from '../support/llama-cpp.js'

const fetched = new URL('../../node_modules/.cache/dotpool/smollm2.gguf', import.meta.url)

/** SmolLM2-135M-Instruct: the GGUF from a PyPI wheel, a folder made of it, and PyTorch's results. */
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
 * Below this margin between the two best logits, rounding may decide which is best: PyTorch had the weights in
 * bfloat16.
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

  describe.skipIf(!hasReference)(`beside PyTorch${referenceNote}`, () => {
    const chats = (): Chat[] => JSON.parse(readFileSync(reference, 'utf8')).chats

    it('renders a chat by its own template, in the tokens of the reference', async () => {
      for (const { prompt, ids } of chats()) {
        expect([...(await encodePrompt(model, [{ role: 'user', content: prompt }]))]).toEqual(ids)
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

  it.skipIf(!hasLlamaCpp)(`continues as llama.cpp does in float32${llamaCppNote}`, async () => {
    const texts = ['The capital of France is', 'def fibonacci(n):\n', '1, 2, 3, 4,', 'Once upon a']
    const prompts = texts.map((text) => model.tokenizer.encode(text))
    await using scratch = await temporaryFolder()
    const floats = join(scratch.path, 'f32.gguf')
    await writeFloats(file, floats)
    const { continuations } = await askLlamaCpp({ file: floats, prompts, maxTokens: 24 })
    const { vocabSize } = model.config
    for (const [i, prompt] of prompts.entries()) {
      const tokens = continuations[i]
      expect(tokens.length).toBeGreaterThan(0)
      const { data } = await model.logits([...prompt, ...tokens.slice(0, -1)])
      for (const [j, token] of tokens.entries()) {
        const at = (prompt.length - 1 + j) * vocabSize
        const row = data.subarray(at, at + vocabSize)
        const best = row.reduce((most, logit) => Math.max(most, logit))
        // llama.cpp has a float16 KV cache
        expect(best - row[token], `${texts[i]} ${j}`).toBeLessThan(UNDECIDED)
      }
    }
  })
})

/** Writes the model with all its tensors in float32. */
async function writeFloats(source: string, target: string): Promise<void> {
  const { handle, tensors } = await GgufFile.open(source)
  const infos = [...tensors].map(([name, { dims }]) => ({
    name,
    type: ggmlTypes.F32,
    dims: dims.toReversed(),
    bytes: 4 * dims.reduce((size, dim) => size * dim),
  }))
  const { header: withoutFields } = ggufHeader([], infos)
  const [first] = tensors.values()
  const head = Buffer.alloc(first.begin)
  await handle.read(head, 0, head.length, 0)
  // the bytes before the first tensor name, then new entries in place of the old ones
  const [name] = tensors.keys()
  const fieldsEnd = head.indexOf(name) - 8
  const entryBytes = infos.reduce(
    (sum, { name, dims }) => sum + 24 + name.length + 8 * dims.length,
    0,
  )
  const entries = withoutFields.subarray(24, 24 + entryBytes)
  const padding = new Uint8Array(-(fieldsEnd + entryBytes) & 31)
  await writeFile(target, Buffer.concat([head.subarray(0, fieldsEnd), entries, padding]))
  for (const { type, dims, begin, storedBytes } of tensors.values()) {
    const stored = new Uint8Array(storedBytes)
    await handle.read(stored, 0, storedBytes, begin)
    const size = dims.reduce((product, dim) => product * dim)
    const values = new Float32Array(size)
    if (type.dequantize === undefined) new Uint8Array(values.buffer).set(stored)
    else type.dequantize(stored, values)
    await appendFile(target, new Uint8Array(values.buffer))
  }
  await handle.close()
}
