import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bf16ToFloat, floatToBf16 } from '#src/bf16.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { plainFrequencies, plainLogits } from './plain-decoder.js'
import {
  collect,
  fixture,
  hasShared,
  largestDifference,
  type Prompt,
  qwen3,
  qwen3Prompts,
  readFloats,
  readIds,
  readJson,
  relativeError,
  skipNote,
  stories,
  storiesPrompts,
  teacherForced,
} from './support.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

/** With a bfloat16 KV cache, a token may differ where the reference hardly prefers its own. */
const cases: [LoadOptions, number][] = [
  [{ kv: 'float32' }, 0],
  [{ kv: 'bfloat16' }, 0.005],
]

/** How many tokens come before the first whose margin over the next best is smaller. */
function decided({ margins }: Pick<Prompt, 'margins'>, least: number): number {
  const first = margins.findIndex((margin) => margin < least)
  return first === -1 ? margins.length : first
}

describe.skipIf(!hasShared)(`Qwen3 in float32${skipNote}`, () => {
  it.each(cases)('reproduces the greedy tokens and texts of the reference: %o', async (options) => {
    using model = await Model.load(pool, qwen3, options)
    for (const { promptIds, greedyIds, completion } of qwen3Prompts()) {
      const ids = await collect(model.generateTokens(promptIds, { maxTokens: 64 }))
      expect(ids).toEqual(greedyIds)
      expect(model.tokenizer.decode(ids)).toBe(completion)
    }
  })

  it('matches the logits of the reference, apart from its rounded RoPE frequencies', async () => {
    using model = await Model.load(pool, qwen3)
    const golden = readFloats(join(fixture, 'logits_prompt0.f32'))
    const [prompt] = qwen3Prompts()
    const logits = await teacherForced(model, prompt)
    expect(relativeError(logits, golden)).toBeLessThan(2e-3)
    const exact = plainFrequencies(64, 1e6)
    const rounded = exact.map((f) => bf16ToFloat(floatToBf16(f)))
    const rows = 10
    const ids = [...prompt.promptIds, ...prompt.greedyIds.slice(0, rows - 1)]
    const plain = async (frequencies: Float64Array) => {
      const all = await plainLogits(qwen3, ids, { frequencies })
      return all.subarray((prompt.promptIds.length - 1) * 2048)
    }
    const first = (all: Float32Array) => all.subarray(0, rows * 2048)
    expect(largestDifference(await plain(rounded), first(golden))).toBeLessThan(1e-4)
    expect(largestDifference(await plain(exact), first(logits))).toBeLessThan(1e-4)
  })

  it('matches the NLL of the reference', async () => {
    using model = await Model.load(pool, qwen3)
    const windows: number[] = readJson(join(fixture, 'val_windows.json')).nll_fp32
    const expected = windows.reduce((a, b) => a + b) / windows.length
    const ids = readIds(join(fixture, 'val_ids.u16')).subarray(0, 256 * windows.length)
    expect(Math.abs((await model.nll(ids)) / expected - 1)).toBeLessThan(3e-4)
  })
})

describe.skipIf(!hasShared)(`Llama in float32${skipNote}`, () => {
  it.each(cases)('reproduces the greedy tokens of the reference: %o', async (options, least) => {
    using model = await Model.load(pool, stories, options)
    for (const prompt of storiesPrompts()) {
      const { promptIds, greedyIds } = prompt
      const maxTokens = decided(prompt, least)
      const ids = await collect(model.generateTokens(promptIds, { maxTokens }))
      expect(ids).toEqual(greedyIds.slice(0, maxTokens))
    }
  })

  it('matches the logits of the reference', async () => {
    using model = await Model.load(pool, stories)
    const golden = readFloats(join(stories, 'golden/logits_prompt0.f32'))
    const logits = await teacherForced(model, storiesPrompts()[0])
    expect(largestDifference(logits, golden)).toBeLessThan(1e-4)
  })

  it('tells the story of the reference, as text', async () => {
    using model = await Model.load(pool, stories)
    const [{ text }] = readJson(join(stories, 'golden/golden.json')).greedy
    const pieces = await collect(model.generate('', { maxTokens: 100 }))
    expect(pieces.join('')).toBe(text)
  })

  it('matches the NLL of the reference', async () => {
    using model = await Model.load(pool, stories)
    // every window of 255 tokens follows the beginning-of-sequence token
    const ids = readIds(join(stories, 'golden/val_ids.u16'))
    const windows = Array.from({ length: 123 }, (_, i) => [1, ...ids.slice(i * 255, i * 255 + 255)])
    const { nll } = readJson(join(stories, 'golden/golden.json')).perplexity.fp32
    expect(await model.nll(windows.flat())).toBeCloseTo(nll, 5)
  })
})
