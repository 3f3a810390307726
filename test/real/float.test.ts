import { createHash } from 'node:crypto'
import { Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodePrompt } from '#src/model/generation/prompt.js'
import { collect } from '../model/support.js'
import { needLibrary } from '../support/isas.js'
import { canRun, folder, type Reference, readBook, readReference, skipNote } from './support.js'

/** Below this margin between the two best logits, rounding may decide which is best. */
const UNDECIDED = 0.02

needLibrary()

describe.skipIf(!canRun)(`a real model in float32${skipNote}`, { timeout: 900_000 }, () => {
  let pool: Pool
  let model: Model
  let golden: Reference
  let tokens: number[]
  beforeAll(async () => {
    golden = readReference()
    pool = await Pool.create()
    model = await Model.load(pool, folder, { quantize: 'none' })
    tokens = model.tokenizer.encode(readBook(), { addSpecialTokens: false })
  })
  afterAll(async () => await pool?.close())

  const windowOf = (w: number) => tokens.slice(w * golden.window, (w + 1) * golden.window)

  it('tokenises prose as the reference', () => {
    const bytes = Buffer.alloc(4 * tokens.length)
    for (const [i, token] of tokens.entries()) bytes.writeUInt32LE(token, 4 * i)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    expect(tokens.slice(0, golden.first_tokens.length)).toEqual(golden.first_tokens)
    expect(tokens.length).toBe(golden.tokens)
    expect(sha256).toBe(golden.sha256_of_uint32_le)
  })

  it('matches the NLL of PyTorch in every window', async () => {
    for (const [w, expected] of golden.nll_by_window.entries()) {
      const nll = await model.nll(windowOf(w), { window: golden.window })
      expect(Math.abs(nll - expected), `window ${w}`).toBeLessThan(1e-5)
    }
  })

  it('predicts the tokens of PyTorch, with the same probabilities', async () => {
    const { window, best_of_first_4096: best, best_log_probability: ofBest } = golden
    const ofNext = golden.next_log_probability_by_window_of_1023
    const { vocabSize } = model.config
    for (let w = 0; w < best.length / window; w++) {
      const ids = windowOf(w)
      const { data } = await model.logits(ids)
      for (let i = 0; i < window; i++) {
        const row = data.subarray(i * vocabSize, (i + 1) * vocabSize)
        const logSum = logSumOf(row)
        const at = w * window + i
        expect(row.indexOf(maximumOf(row)), `token ${at}`).toBe(best[at])
        expect(Math.abs(row[best[at]] - logSum - ofBest[at]), `token ${at}`).toBeLessThan(1e-4)
        if (i + 1 === window) continue
        const next = ofNext[w * (window - 1) + i]
        expect(Math.abs(row[ids[i + 1]] - logSum - next), `token ${at + 1}`).toBeLessThan(1e-4)
      }
    }
  })

  it('embeds prose by the states that PyTorch predicts from', async () => {
    const head = model.linears.get('lm_head')
    const window = windowOf(0)
    const ends = [1, 2, 17, 64, 130]
    const embeddings = await model.embed(ends.map((end) => window.slice(0, end)))
    for (const [i, end] of ends.entries()) {
      // of length 1, which does not change what is best
      const logits = (await head?.forward(embeddings[i])) as Float32Array
      const best = logits.indexOf(maximumOf(logits))
      expect(best, `token ${end - 1}`).toBe(golden.best_of_first_4096[end - 1])
    }
  })

  it('answers as PyTorch, except where two tokens are equally likely', async () => {
    for (const { prompt, ids, greedy, margins } of golden.chats) {
      const answer = await collect(model.generateTokens(ids, { maxTokens: greedy.length }))
      // the end-of-sequence token is not part of the answer
      const expected = greedy.filter((token) => !model.config.eosTokenIds.includes(token))
      const first = expected.findIndex((token, i) => token !== answer[i])
      if (first >= 0) expect(margins[first], `${prompt}, token ${first}`).toBeLessThan(UNDECIDED)
      else expect(answer, prompt).toEqual(expected)
    }
  })

  it('renders the chat template as the reference', async () => {
    for (const { prompt, ids } of golden.chats) {
      const tokens = await encodePrompt(model, [{ role: 'user', content: prompt }])
      expect([...tokens], prompt).toEqual(ids)
    }
  })
})

function maximumOf(row: Float32Array): number {
  return row.reduce((a, b) => Math.max(a, b))
}

function logSumOf(row: Float32Array): number {
  const maximum = maximumOf(row)
  return maximum + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - maximum), 0))
}
