import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import {
  expectSameLogits,
  fixture,
  logitsOf,
  qwen3Prompts,
  readIds,
  trace,
} from '../model/support.js'
import { createPool, isas, needLibrary } from '../support/isas.js'
import { expectSameBits } from '../support/reference.js'
import { pause } from '../support/threads.js'

needLibrary()

/** A text long enough for several KV pages, and for attention to be split over them. */
const text = [...readIds(join(fixture, 'val_ids.u16')).subarray(0, 300)]

// attention has no path without the library yet
const nativeIsas = isas.filter((isa) => isa !== 'typescript')

/** Every ISA and several thread counts, each unlike the one it is compared with. */
const machines = Array.from({ length: Math.max(3, nativeIsas.length) }, (_, i) => {
  return [nativeIsas[i % nativeIsas.length], [1, 3, 8][i % 3]] as const
})

/** All Linears in int8, some, and none, with each KV cache dtype. */
const variants: LoadOptions[] = [
  { kv: 'bfloat16' },
  { kv: 'float32', skip: ['lm_head', 'mlp.*'] },
  { kv: 'int8', quantize: 'none' },
]

describe.each(variants)('the bits of a model loaded with %o', (options) => {
  let pool: Pool
  let model: Model
  let expected: Float32Array
  beforeAll(async () => {
    pool = await Pool.create({ threads: 2 })
    model = await Model.load(pool, fixture, options)
    expected = await logitsOf(model, text)
  })
  afterAll(async () => await pool.close())

  it.each(machines)('are the same with %s on %i threads', async (isa, threads) => {
    await using other = await createPool(isa, { threads })
    using same = await Model.load(other, fixture, options)
    expectSameBits(await logitsOf(same, text), expected)
    await expectSteps(same)
  })

  it('are the same token by token as in one batch', async () => await expectSteps(model))

  it('are the same alone, and in a batch with other lengths and chunked prefill', async () => {
    const lengths = [1, 3, 17, 64, 65, 130, 200, 250]
    const prompts = lengths.map((length, i) => text.slice(i, i + length))
    const traces = await Promise.all(
      prompts.map(async (prompt, i) => {
        // staggered, so that some prefill while others decode
        await pause(10 * (i % 4))
        return await trace(model, prompt, { maxTokens: 12 + i })
      }),
    )
    for (const [i, traced] of traces.entries()) await expectSameLogits(model, prompts[i], traced)
  })

  /** Feeds the text's own tokens one by one, by a processor that forces them. */
  async function expectSteps(same: Model): Promise<void> {
    const [from, to] = [190, 210]
    const { logits } = await trace(same, text.slice(0, from), {
      maxTokens: to - from,
      processors: [
        (row, ids) => {
          row.fill(-Infinity)
          row[text[ids.length]] = 0
        },
      ],
    })
    for (const [i, row] of logits.entries()) {
      const at = (from - 1 + i) * 2048
      expectSameBits(row, expected.subarray(at, at + 2048), `id ${i}:`)
    }
    expect(logits.length).toBe(to - from)
  }
})

it('requests of any length and prefix do not affect each other, whenever they start', async () => {
  const texts = fc.array(
    fc.record({
      from: fc.constantFrom(0, 0, 5, 64, 100),
      length: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 200 })),
      maxTokens: fc.integer({ min: 1, max: 20 }),
      delay: fc.integer({ min: 0, max: 30 }),
      kv: fc.constantFrom(0, 1, 2),
    }),
    { minLength: 1, maxLength: 10 },
  )
  await using pool = await Pool.create({ threads: 2 })
  const models = await Promise.all(
    (['float32', 'bfloat16', 'int8'] as const).map((kv) => Model.load(pool, fixture, { kv })),
  )
  await fc.assert(
    fc.asyncProperty(texts, async (all) => {
      const write = async ({ from, length, maxTokens, delay, kv }: (typeof all)[number]) => {
        const prompt = text.slice(from, from + length)
        await pause(delay)
        const traced = await trace(models[kv], prompt, { maxTokens })
        await expectSameLogits(models[kv], prompt, traced)
      }
      await Promise.all(all.map(write))
    }),
    { numRuns: 20 },
  )
})

it('a generation is the same on every ISA, at every thread count and in every batch', async () => {
  const options = { maxTokens: 40, ignoreEnd: true }
  const texts = new Set<string>()
  for (const isa of nativeIsas) {
    for (const threads of [1, 2, 3]) {
      await using pool = await createPool(isa, { threads })
      using model = await Model.load(pool, fixture)
      const all = qwen3Prompts().map(async ({ promptIds }) => {
        const { ids } = await trace(model, promptIds, options)
        return ids.join()
      })
      texts.add((await Promise.all(all)).join('\n'))
    }
  }
  expect(texts.size).toBe(1)
})
