import { type LogitsProcessor, Model, Pool, type Sampling } from 'dotpool'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  type Constraint,
  GenerateRequest,
  type TokenSink,
} from '#src/model/decoder/generate-request.js'
import { TokenSampler } from '#src/model/generation/sampler.js'
import { needLibrary } from '../support/isas.js'
import { shallowFixture } from '../support/shallow-fixture.js'

needLibrary()

/*
 * A constraint writes the mask of a token while the step runs that samples it. It may be late, which costs a row, and
 * changes nothing else.
 */

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

const prompt = [5, 17, 300, 42]
const TOKENS = 24

/** Leaves all tokens but one; from the second on in time, or only after somebody has waited for the mask. */
class Slow implements Constraint {
  closed = 0
  readonly #isLate: boolean
  readonly #words: Uint32Array
  #length = prompt.length

  constructor(isLate: boolean, forbidden: number) {
    this.#isLate = isLate
    const words = pool.memory.array('int32', 1 + Math.ceil(model.config.vocabSize / 32))
    this.#words = new Uint32Array(words.buffer, words.byteOffset, words.length).fill(2 ** 32 - 1)
    this.#words[1 + (forbidden >> 5)] ^= 1 << (forbidden & 31)
    this.#write()
  }

  get isReady(): boolean {
    return this.#words[0] === this.#length
  }

  at(position: number) {
    return { words: this.#words, tag: position }
  }

  accept(): void {
    this.#length++
    if (!this.#isLate) this.#write()
  }

  awaitMask(): void {
    setTimeout(() => {
      this.#write()
      model.decoder.wake()
    }, 1)
  }

  close(): void {
    this.closed++
  }

  #write(): void {
    Atomics.store(this.#words, 0, this.#length)
  }
}

interface Options {
  constraint?: Constraint
  sampling?: Sampling
  processors?: LogitsProcessor[]
  signal?: AbortSignal
}

/** The tokens of a text, and the rows that were computed for it. */
async function generate({ constraint, sampling = {}, processors = [], signal }: Options) {
  const before = model.stats().tokens
  const capacity = prompt.length + TOKENS
  const sampler = new TokenSampler(pool.memory, sampling, prompt, capacity, undefined)
  const tokens: number[] = []
  await new Promise<void>((resolve, reject) => {
    const sink: TokenSink = {
      room: 16,
      push: (token) => {
        tokens.push(token)
        return false
      },
      replay: () => false,
      end: () => resolve(),
      fail: reject,
    }
    const limits = { maxTokens: TOKENS, maxContext: model.maxContext, endTokens: [], signal }
    const settings = { sampler, sink, processors, constraint, ...limits }
    model.decoder.submit(new GenerateRequest(prompt, settings))
  })
  return { tokens, rows: model.stats().tokens - before }
}

const bias = (token: number): Sampling => ({ logitBias: { [token]: -Infinity } })

it.each<[string, Options]>([
  ['tokens are sampled', { sampling: { temperature: 1, seed: 4 } }],
  ['tokens depend on those before', { sampling: { repetitionPenalty: 1.5 } }],
  ['processors see logits', { processors: [() => {}] }],
])('a mask does what a bias of -Infinity does, in time or late, where %s', async (_, options) => {
  const [first] = (await generate(options)).tokens
  const sampling = { ...options.sampling, ...bias(first) }
  const expected = (await generate({ ...options, sampling })).tokens
  for (const isLate of [false, true]) {
    const constraint = new Slow(isLate, first)
    expect((await generate({ ...options, constraint })).tokens).toEqual(expected)
    expect(constraint.closed).toBe(1)
  }
})

it('a mask that is late costs its row, and the one queued behind it; no mask costs more', async () => {
  const free = await generate({})
  // how many of these are in time is for the machine to say
  const early = await generate({ constraint: new Slow(false, 1) })
  const late = await generate({ constraint: new Slow(true, 1) })
  // a row ahead at the end is counted here or there
  expect(early.rows).toBeGreaterThanOrEqual(free.rows - 2)
  for (const { rows } of [early, late]) expect(rows).toBeLessThanOrEqual(free.rows + 2 * TOKENS)
  expect(late.rows).toBeGreaterThanOrEqual(free.rows + TOKENS - 4)
})

it('texts whose masks are late do not hold up others, nor change them', async () => {
  const seeds = Array.from({ length: 6 }, (_, seed) => seed)
  const run = async (seed: number, isLate: boolean) => {
    const constraint = isLate ? { constraint: new Slow(true, 2047) } : {}
    return (await generate({ sampling: { temperature: 1, seed, ...bias(2047) }, ...constraint }))
      .tokens
  }
  const expected = []
  for (const seed of seeds) expected.push(await run(seed, false))
  expect(await Promise.all(seeds.map((seed) => run(seed, seed % 2 === 1)))).toEqual(expected)
})

it('a text may be aborted while its mask is awaited', async () => {
  const controller = new AbortController()
  const constraint = new Slow(true, 1)
  constraint.awaitMask = () => controller.abort(new Error('enough'))
  const { signal } = controller
  await expect(generate({ constraint, signal })).rejects.toThrow('enough')
  expect(constraint.closed).toBe(1)
  expect((await generate({})).tokens).toHaveLength(TOKENS)
})
