import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DisposedError, QueueFullError } from '#src/errors.js'
import { HiddenStateRequest } from '#src/model/decoder/result-request.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { createPool, needLibrary } from '../support/isas.js'
import { shallowFixture } from '../support/shallow-fixture.js'
import { plainFrequencies, plainState } from './plain-decoder.js'
import { randomCheckpoint } from './random-checkpoint.js'
import {
  collect,
  fixture,
  loadShallow,
  readIds,
  readJson,
  relativeError,
  temporaryFolder,
  writeCheckpoint,
} from './support.js'

needLibrary()

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, shallowFixture())
})
afterAll(async () => {
  model.dispose()
  await pool.close()
})

const text = [...readIds(join(fixture, 'val_ids.u16'))]
const texts = [3, 1, 12, 20, 7].map((length, i) => text.slice(50 * i, 50 * i + length))

/** The hidden state of the last token, as the decoder has it. */
async function stateOf(of: Model, tokens: readonly number[]): Promise<Float32Array> {
  const request = new HiddenStateRequest(Uint32Array.from(tokens))
  of.decoder.submit(request)
  return await request.result
}

describe('an embedding', () => {
  it('is the last hidden state of a decoder in float64, scaled to length 1', async () => {
    const { config, tensors } = randomCheckpoint('Qwen3ForCausalLM', {}, { headNorms: true })
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, config, tensors)
    using made = await Model.load(pool, folder.path, { kv: 'float32' })
    const tokens = Array.from({ length: 70 }, (_, i) => (i * i * 7 + i) % 53)
    const frequencies = plainFrequencies(10, 10_000)
    const state = await plainState(folder.path, tokens, { frequencies })
    const [embedding] = await made.embed([tokens])
    const length = Math.hypot(...state)
    const expected = state.map((value) => value / length)
    expect(relativeError(embedding, expected)).toBeLessThan(1e-5)
  })

  it('is of the state that the head makes the logits of', async () => {
    const tokens = texts[2]
    const state = await stateOf(model, tokens)
    const { data, dims } = await model.logits(tokens)
    const head = model.linears.get('lm_head')
    const logits = await head?.forward(state)
    expect(logits).toEqual(data.subarray(-dims[1]))
    const [embedding] = await model.embed([tokens])
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 6)
    const length = Math.hypot(...state)
    for (const [i, value] of embedding.entries()) expect(value).toBeCloseTo(state[i] / length, 6)
  })

  it('has the first dimensions only, of length 1 by themselves', async () => {
    const [whole] = await model.embed([texts[0]])
    const [first] = await model.embed([texts[0]], { dimensions: 5 })
    const length = Math.hypot(...whole.subarray(0, 5))
    expect(first).toHaveLength(5)
    for (const [i, value] of first.entries()) expect(value).toBeCloseTo(whole[i] / length, 6)
  })

  it('of a text is that of its tokens', async () => {
    const tokens = model.tokenizer.encode('What say you?')
    const [ofText, ofTokens] = await model.embed(['What say you?', tokens])
    expect(ofText).toEqual(ofTokens)
  })

  it('is of the token that the tokenizer ends a text with', async () => {
    await using folder = await temporaryFolder()
    await cp(shallowFixture(), folder.path, { recursive: true })
    const tokenizer = readJson(join(fixture, 'tokenizer.json'))
    const end = { id: '<|endoftext|>', type_id: 0 }
    const template = {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: end }],
      pair: [],
      special_tokens: { [end.id]: { id: end.id, ids: [0], tokens: [end.id] } },
    }
    // as Qwen3-Embedding's has it
    const post_processor = { type: 'Sequence', processors: [tokenizer.decoder, template] }
    const json = JSON.stringify({ ...tokenizer, post_processor })
    await writeFile(join(folder.path, 'tokenizer.json'), json)
    using ending = await Model.load(pool, folder.path)
    const tokens = model.tokenizer.encode('What say you?')
    expect(await ending.embed(['What say you?'])).toEqual(await model.embed([[...tokens, 0]]))
  })

  it('has the same bits alone, in a batch, beside other requests and in TypeScript', async () => {
    using fresh = await loadShallow(pool, { prefixCache: false })
    const alone: Float32Array[] = []
    for (const tokens of texts) alone.push(...(await fresh.embed([tokens])))
    const others = [0, 1].map((i) =>
      collect(fresh.generateTokens(text.slice(i, 30), { maxTokens: 8, ignoreEnd: true })),
    )
    const scored = fresh.nll(text.slice(0, 40), { window: 40 })
    const before = fresh.stats().steps
    expect(await fresh.embed(texts)).toEqual(alone)
    expect(fresh.stats().steps - before).toBeLessThan(texts.length)
    await Promise.all([...others, scored])
    await using plain = await createPool('typescript', { threads: 1 })
    using slow = await Model.load(plain, shallowFixture())
    expect(await slow.embed(texts.slice(0, 2))).toEqual(alone.slice(0, 2))
  })
})

it('a checkpoint of a decoder alone has names without a prefix, and no head', async () => {
  const { config, tensors } = randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true })
  const embeddings: Float32Array[][] = []
  for (const prefix of ['model.', '']) {
    await using folder = await temporaryFolder()
    const renamed = Object.entries(tensors).map(([name, tensor]) => {
      return [name.replace('model.', prefix), tensor] as const
    })
    await writeCheckpoint(folder.path, config, Object.fromEntries(renamed))
    using made = await Model.load(pool, folder.path, { quantize: 'w8a8' })
    embeddings.push(await made.embed([[1, 2, 3]]))
  }
  expect(embeddings[1]).toEqual(embeddings[0])
})

describe('texts to embed', () => {
  it('share the prefixes that earlier ones have computed', async () => {
    using fresh = await loadShallow(pool)
    const [first] = await fresh.embed([text.slice(0, 40)])
    const { tokens } = fresh.stats()
    expect(await fresh.embed([text.slice(0, 40)])).toEqual([first])
    expect(fresh.stats().tokens - tokens).toBe(1)
  })

  it('wait for memory one by one, and get the same', async () => {
    const { cacheBytes } = model
    const maxContext = 128
    using small = await loadShallow(pool, {
      ...{ maxContext, maxQueue: 1, kvBytes: 3 * 64 * cacheBytes, prefixCache: false },
    })
    const long = [0, 1, 2, 3].map((i) => text.slice(i, i + maxContext - 10 * i))
    const expected = await model.embed(long)
    const busy = collect(
      small.generateTokens(text.slice(0, 60), { maxTokens: 20, ignoreEnd: true }),
    )
    expect(await small.embed(long)).toEqual(expected)
    await busy
    expect(small.stats()).toMatchObject({ running: 0, waiting: 0 })
  })

  it('takes all texts of a call, or none, where the tokens that wait are bounded', async () => {
    using bounded = await loadShallow(pool, { maxQueuedTokens: 1, prefixCache: false })
    expect(await bounded.embed(texts)).toEqual(await model.embed(texts))
  })

  it('are refused where the queue is full', async () => {
    const { cacheBytes } = model
    using small = await loadShallow(pool, { maxContext: 64, maxQueue: 0, kvBytes: 64 * cacheBytes })
    const busy = collect(small.generateTokens([1], { maxTokens: 20, ignoreEnd: true }))
    await expect(small.embed(texts)).rejects.toThrow(QueueFullError)
    await busy
    expect(small.stats()).toMatchObject({ running: 0, waiting: 0 })
  })

  it('end with their signal, and with the model', async () => {
    const reason = new Error('enough')
    await expect(model.embed(texts, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const embedding = model.embed([...texts, 'What say you?'], { signal: controller.signal })
    controller.abort(reason)
    await expect(embedding).rejects.toBe(reason)
    expect(model.stats()).toMatchObject({ running: 0, waiting: 0 })
    const gone = await loadShallow(pool)
    const last = gone.embed(texts)
    gone.dispose()
    await expect(last).rejects.toThrow(DisposedError)
    await expect(gone.embed(texts)).rejects.toThrow(DisposedError)
  })

  it('are copied at once', async () => {
    const expected = await model.embed(texts)
    const mine = texts.map((tokens) => [...tokens])
    const embedding = model.embed(mine)
    for (const tokens of mine) tokens.fill(0)
    mine.length = 0
    expect(await embedding).toEqual(expected)
  })

  it('may be none', async () => {
    expect(await model.embed([])).toEqual([])
  })

  it.each<[argument: string, texts: unknown, options?: object]>([
    ['texts', 'What'],
    ['texts[1]', [[1], []]],
    ['texts[0]', ['']],
    ['texts[0][1]', [[1, 2048]]],
    ['texts[0]', [5]],
    ['texts[0]', [new Array(1025).fill(1)]],
    ['texts[0]', ['word '.repeat(2000)]],
    ['dimensions', [[1]], { dimensions: 0 }],
    ['dimensions', [[1]], { dimensions: 1e6 }],
    ['signal', [[1]], { signal: 5 }],
    ['options', [[1]], { pooling: 'mean' }],
  ])('are refused naming %s', async (argument, texts, options) => {
    await expect(model.embed(texts as string[], options)).rejects.toMatchObject({ argument })
  })
})
