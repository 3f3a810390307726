import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import type { GenerateOptions } from '#src/model/generation/generate.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { shallowFixture } from '../support/shallow-fixture.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, shallowFixture())
})
afterAll(async () => await pool.close())

const prompt = 'ROMEO:'

/** What is given, chunk by chunk, and what it comes to. */
async function generate(options: GenerateOptions) {
  const run = model.generate(prompt, options)
  const chunks: { text: string; tokens: readonly number[] }[] = []
  for await (const chunk of run.chunks()) chunks.push(chunk)
  const { text, tokens, finishReason, usage } = await run.result
  const { completionTokens } = usage
  return { chunks, text, tokens, finishReason, completionTokens }
}

const seeded = { temperature: 1, seed: 7 }
const cases: [title: string, options: GenerateOptions][] = [
  ['the likeliest tokens', { maxTokens: 12, ignoreEnd: true }],
  ['samples', { maxTokens: 12, ignoreEnd: true, sampling: seeded }],
  [
    'penalties',
    {
      maxTokens: 12,
      ignoreEnd: true,
      sampling: { ...seeded, repetitionPenalty: 1.3, frequencyPenalty: 0.7, presencePenalty: 0.3 },
    },
  ],
  ['stop strings', { maxTokens: 40, ignoreEnd: true, sampling: seeded, stop: ['th', 'e '] }],
  ['log probabilities', { maxTokens: 8, ignoreEnd: true, sampling: seeded, logprobs: 2 }],
  [
    'a response format',
    { maxTokens: 20, sampling: seeded, responseFormat: { type: 'regex', regex: '[a-z ]{8,12}' } },
  ],
]

describe('a text that is resumed', () => {
  it.each(cases)('goes on as it would have, behind any of its tokens: %s', async (_, options) => {
    const whole = await generate(options)
    const all = whole.chunks.filter(({ tokens }) => tokens.length > 0)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: all.length }), async (count) => {
        const resumeAfter = all.slice(0, count).flatMap(({ tokens }) => tokens)
        const { chunks, ...rest } = await generate({ ...options, resumeAfter })
        expect(chunks).toEqual(whole.chunks.slice(count))
        expect({ ...rest, chunks: whole.chunks }).toEqual(whole)
      }),
      { numRuns: 6 },
    )
  })

  it('samples only what is new', async () => {
    const options = { maxTokens: 10, ignoreEnd: true }
    const { tokens } = await generate(options)
    const before = model.stats().sampledTokens
    await generate({ ...options, resumeAfter: tokens.slice(0, 7) })
    expect(model.stats().sampledTokens - before).toBe(3)
  })

  it('has no more tokens than it may, all of the model', () => {
    const resume = (resumeAfter: number[]) => () => {
      return model.generate(prompt, { maxTokens: 2, resumeAfter })
    }
    expect(resume([1, 2, 3])).toThrow(ArgumentError)
    expect(resume([-1])).toThrow(/resumeAfter\[0\]: expected a token id/)
  })
})
