import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { type PlainOptions, plainFrequencies, plainLogits } from './plain-decoder.js'
import { type MadeCheckpoint, randomCheckpoint } from './random-checkpoint.js'
import { loadMade, logitsOf, relativeError, temporaryFolder, writeCheckpoint } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 150 }, (_, i) => (i * i * 7 + i) % 53)

/** The distance of the model's logits from the plain decoder's. */
async function errorOf(
  { config, tensors }: MadeCheckpoint,
  options: PlainOptions,
  kv: 'float32' | 'bfloat16' | 'int8' = 'float32',
): Promise<number> {
  await using folder = await temporaryFolder()
  await writeCheckpoint(folder.path, config, tensors)
  using model = await Model.load(pool, folder.path, { kv })
  return relativeError(await logitsOf(model, ids), await plainLogits(folder.path, ids, options))
}

const frequencies = plainFrequencies(10, 10_000)
const window = 70
const noWindow = { use_sliding_window: false }

/** Llama 3.1: https://ai.meta.com/research/publications/the-llama-3-herd-of-models/ */
const scaling = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 64,
}
const llama3 = frequencies.map((f) => {
  const turns = (64 * f) / (2 * Math.PI)
  const kept = Math.min(Math.max((turns - 1) / (4 - 1), 0), 1)
  return f * (kept + (1 - kept) / 8)
})

describe.each<[string, MadeCheckpoint, PlainOptions]>([
  ['Llama', randomCheckpoint('LlamaForCausalLM'), { frequencies }],
  [
    'Llama 3.1',
    randomCheckpoint('LlamaForCausalLM', { rope_scaling: scaling }),
    { frequencies: llama3 },
  ],
  [
    'Llama with a tied head',
    randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true }),
    { frequencies },
  ],
  [
    'Mistral, whose layers slide',
    randomCheckpoint('MistralForCausalLM', { sliding_window: window }),
    { frequencies, windows: [window, window] },
  ],
  [
    'Mistral without a window',
    randomCheckpoint('MistralForCausalLM', { sliding_window: null }),
    { frequencies },
  ],
  ['Qwen2', randomCheckpoint('Qwen2ForCausalLM', noWindow, { biases: true }), { frequencies }],
  [
    'Qwen2, whose second layer slides',
    randomCheckpoint(
      'Qwen2ForCausalLM',
      { use_sliding_window: true, sliding_window: window, max_window_layers: 1 },
      { biases: true },
    ),
    { frequencies, windows: [undefined, window] },
  ],
  ['Qwen3', randomCheckpoint('Qwen3ForCausalLM', noWindow, { headNorms: true }), { frequencies }],
])('%s', (_, checkpoint, options) => {
  it('gives the logits of a plain decoder with every KV cache dtype', async () => {
    expect(await errorOf(checkpoint, options)).toBeLessThan(1e-5)
    expect(await errorOf(checkpoint, options, 'bfloat16')).toBeLessThan(0.02)
    expect(await errorOf(checkpoint, options, 'int8')).toBeLessThan(0.05)
  })
})

it('a decoder of any shape gives the logits of a plain one', async () => {
  const shapes = fc.record({
    hidden_size: fc.integer({ min: 1, max: 70 }),
    intermediate_size: fc.integer({ min: 1, max: 70 }),
    num_key_value_heads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 4 }),
    half: fc.integer({ min: 1, max: 40 }),
    window: fc.option(fc.integer({ min: 1, max: 140 })),
    seed: fc.integer({ min: 0, max: 1e6 }),
  })
  await fc.assert(
    fc.asyncProperty(shapes, async ({ group, half, window: sliding_window, seed, ...shape }) => {
      const heads = { num_attention_heads: group * shape.num_key_value_heads, head_dim: 2 * half }
      const changes = { ...shape, ...heads, sliding_window, num_hidden_layers: 1 }
      const checkpoint = randomCheckpoint('MistralForCausalLM', changes, { seed })
      const windows = [sliding_window ?? undefined]
      const options = { frequencies: plainFrequencies(2 * half, 10_000), windows }
      expect(await errorOf(checkpoint, options)).toBeLessThan(2e-5)
    }),
    { numRuns: 8 },
  )
})

describe('a sliding window', () => {
  const withWindow = (sliding_window: number | null) => {
    const { config, tensors } = randomCheckpoint('MistralForCausalLM', { sliding_window })
    return loadMade(pool, config, tensors)
  }

  it('leaves tokens within it alone, and changes all later ones', async () => {
    using full = await withWindow(null)
    using slides = await withWindow(window)
    const [a, b] = [await logitsOf(full, ids), await logitsOf(slides, ids)]
    expect(b.subarray(0, window * 53)).toEqual(a.subarray(0, window * 53))
    for (let row = window; row < ids.length; row++) {
      const at = row * 53
      expect(b.subarray(at, at + 53)).not.toEqual(a.subarray(at, at + 53))
    }
  })

  it('longer than the context has no effect', async () => {
    using full = await withWindow(null)
    using slides = await withWindow(300)
    expect(await logitsOf(slides, ids)).toEqual(await logitsOf(full, ids))
  })

  it('of one lets a token attend to itself only', async () => {
    using slides = await withWindow(1)
    const all = await logitsOf(slides, [7, 9, 11, 7])
    const at = (row: number) => all.subarray(row * 53, (row + 1) * 53)
    // attention to a single token does not depend on its position
    expect(at(3)).toEqual(at(0))
  })
})
