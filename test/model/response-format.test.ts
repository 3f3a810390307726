import type { Worker } from 'node:worker_threads'
import { Ajv2020 } from 'ajv/dist/2020.js'
import {
  ArgumentError,
  DisposedError,
  type GenerateOptions,
  Model,
  Pool,
  type ResponseFormat,
  WorkerDiedError,
} from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { runScript } from '../support/child.js'
import { isas } from '../support/isas.js'
import { shallowFixture } from '../support/shallow-fixture.js'
import { schemas, validate } from './grammar/schemas.js'
import { collect } from './support.js'

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

/** Kernels in TypeScript take a while for each token. */
const isSlow = isas[0] === 'typescript'
const maxTokens = isSlow ? 12 : 60

const prompt = 'ROMEO:'
const sampling = (seed: number) => ({ temperature: 1, seed })

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 8 },
    age: { type: 'integer', minimum: 0, maximum: 120 },
    tags: { type: 'array', items: { enum: ['a', 'b'] }, maxItems: 2 },
  },
  required: ['name', 'age'],
}
const json: ResponseFormat = { type: 'json_schema', schema: person }
const word: ResponseFormat = { type: 'regex', regex: '[a-z]{2,6}(, [a-z]{2,6})?' }

async function generate(options: GenerateOptions) {
  return await model.generate(prompt, { maxTokens, ...options }).result
}

async function errorOf(act: () => Promise<unknown>): Promise<Error> {
  return await act().then(
    () => new Error('there was none'),
    (error: Error) => error,
  )
}

describe('a text with a format', () => {
  it('has it where it ends, and is cut off by maxTokens only', async () => {
    const isValid = new Ajv2020().compile(person)
    let ended = 0
    for (let seed = 0; seed < (isSlow ? 2 : 3); seed++) {
      const run = { sampling: sampling(seed), responseFormat: json, maxTokens: isSlow ? 20 : 90 }
      const { text, finishReason } = await generate(run)
      if (finishReason === 'stop') {
        ended++
        expect(isValid(JSON.parse(text)) || text).toBe(true)
      } else {
        expect(finishReason).toBe('length')
        expect(text).toMatch(/^\{/)
      }
    }
    if (!isSlow) expect(ended).toBeGreaterThan(0)
  })

  it('is valid by random schemas where it ends', async () => {
    await fc.assert(
      fc.asyncProperty(schemas, fc.nat(), async (schema, seed) => {
        const responseFormat: ResponseFormat = { type: 'json_schema', schema }
        const { text, finishReason } = await generate({ responseFormat, sampling: sampling(seed) })
        if (finishReason === 'stop') expect(validate(schema, text)).toBeUndefined()
        else expect(finishReason).toBe('length')
      }),
      { numRuns: isSlow ? 2 : 10 },
    )
  })

  it('matches a regular expression, a grammar, or is one of some choices', async () => {
    const grammar = 'root ::= "<" [a-z]{1,3} ">"'
    const formats: [ResponseFormat, RegExp][] = [
      [word, /^[a-z]{2,6}(, [a-z]{2,6})?$/],
      [{ type: 'grammar', grammar }, /^<[a-z]{1,3}>$/],
      [{ type: 'choice', choices: ['yes', 'no', 'é😀'] }, /^(yes|no|é😀)$/],
    ]
    for (const [responseFormat, pattern] of formats) {
      const { text, finishReason } = await generate({ responseFormat, sampling: sampling(3) })
      expect(text).toMatch(pattern)
      expect(finishReason).toBe('stop')
    }
  })

  it('is the same alone and beside others, which are what they would be without it', async () => {
    const options = Array.from({ length: 6 }, (_, seed) => ({
      sampling: sampling(seed),
      responseFormat: [undefined, json, word][seed % 3],
      maxTokens: isSlow ? 8 : 40,
    }))
    const alone = []
    for (const each of options) alone.push((await generate(each)).text)
    const together = await Promise.all(options.map(async (each) => (await generate(each)).text))
    expect(together).toEqual(alone)
  })

  it('is the same where pages are short, so that it is computed anew', async () => {
    const { kvPageBytes } = model.stats()
    const short = await Model.load(pool, shallowFixture(), {
      kvBytes: 3 * kvPageBytes,
      maxContext: 80,
    })
    onTestFinished(() => short.dispose())
    const options = (seed: number) => ({
      maxTokens: isSlow ? 8 : 70,
      sampling: sampling(seed),
      responseFormat: json,
    })
    const run = async (on: Model, seed: number) =>
      (await on.generate(prompt, options(seed)).result).text
    const seeds = [1, 2, 3, 4, 5, 6]
    const expected = await Promise.all(seeds.map((seed) => run(model, seed)))
    expect(await Promise.all(seeds.map((seed) => run(short, seed)))).toEqual(expected)
    if (!isSlow) expect(short.stats().preemptions).toBeGreaterThan(0)
  })

  it('is the same where processors look at its logits, and may end by a stop string', async () => {
    const options = { responseFormat: word, sampling: sampling(5), maxTokens: 20 }
    const { text } = await generate(options)
    const looking = { ...options, processors: [() => {}] }
    expect((await generate(looking)).text).toBe(text)
    const { text: stopped, finishReason } = await generate({ ...options, stop: [text.slice(1)] })
    expect([stopped, finishReason]).toEqual([text[0], 'stop'])
  })

  it('obeys penalties and biases as far as it can', async () => {
    const choices = ['aaaa', 'abab']
    const responseFormat: ResponseFormat = { type: 'choice', choices }
    const [a] = model.tokenizer.encode('a')
    const rest = { frequencyPenalty: 2, repetitionPenalty: 1.5, logitBias: { [a]: 50 } }
    const { text } = await generate({ responseFormat, sampling: { ...sampling(1), ...rest } })
    expect(choices).toContain(text)
  })

  it('has the log probabilities that tokens have without it', async () => {
    const [free, bound] = await Promise.all([
      generate({ maxTokens: 1, logprobs: 3 }),
      generate({ maxTokens: 1, logprobs: 3, responseFormat: json }),
    ])
    expect(bound.logprobs?.[0].top).toEqual(free.logprobs?.[0].top)
    expect(bound.text).toBe('{')
    expect(bound.logprobs?.[0].logprob).toBeLessThan(free.logprobs?.[0].logprob as number)
  })

  it('is generated by tokens, too', async () => {
    const tokens = model.generateTokens(model.tokenizer.encode(prompt), { responseFormat: word })
    expect(model.tokenizer.decode(await collect(tokens))).toMatch(/^[a-z]{2,6}(, [a-z]{2,6})?$/)
  })
})

describe('a format', () => {
  it('that is wrong is refused at once, and what cannot be enforced soon', async () => {
    const wrong: [unknown, string][] = [
      ['json', 'responseFormat: expected an object with a type'],
      [{ type: 'jsn' }, 'responseFormat.type: expected one of text, json_object'],
      [{ type: 'json_object', schema: {} }, 'responseFormat: expected one of type'],
      [{ type: 'json_schema' }, 'responseFormat.schema: expected a JSON Schema'],
      [{ type: 'choice', choices: [] }, 'responseFormat.choices: expected an array of texts'],
      [{ type: 'choice', choices: [''] }, 'responseFormat.choices[0]: expected a text'],
      [{ type: 'any_of', formats: [{ type: 'regex' }] }, 'responseFormat.formats[0].regex'],
      [{ type: 'repeat', format: json, min: 2, max: 1 }, 'responseFormat.max'],
    ]
    for (const [responseFormat, message] of wrong) {
      const act = () => generate({ responseFormat: responseFormat as ResponseFormat })
      expect((await errorOf(act)).message).toContain(message)
    }
    const late: ResponseFormat = { type: 'json_schema', schema: { items: { uniqueItems: true } } }
    const error = await errorOf(() => generate({ responseFormat: late }))
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error.message).toContain('responseFormat.schema.items.uniqueItems: expected keywords')
  })

  it('is refused beside ignoreEnd', async () => {
    const act = () => generate({ responseFormat: json, ignoreEnd: true })
    expect((await errorOf(act)).message).toContain(
      'ignoreEnd: expected false beside responseFormat',
    )
  })

  it('of a hostile caller is refused, and holds nobody up', async () => {
    const hostile: ResponseFormat[] = [
      { type: 'json_schema', schema: { type: 'string', maxLength: 1e15 } },
      { type: 'grammar', grammar: 'root ::= (("a" | "b"){1000}){1000}' },
    ]
    const refused = hostile.map((responseFormat) => errorOf(() => generate({ responseFormat })))
    const fine = generate({ responseFormat: word, sampling: sampling(1) })
    expect((await fine).text).toMatch(/^[a-z]{2,6}/)
    for (const error of await Promise.all(refused)) expect(error).toBeInstanceOf(ArgumentError)
  })

  it('may be aborted while it is compiled, and while it is followed', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const pending = errorOf(() => collect(model.generate(prompt, { responseFormat: json, signal })))
    controller.abort(new Error('enough'))
    expect((await pending).message).toBe('enough')
    const run = model.generate(prompt, { responseFormat: { type: 'json_object' }, maxTokens: 500 })
    await run.next()
    await run.return()
    expect((await generate({ responseFormat: word })).finishReason).toBe('stop')
  })

  it('ends with its model', async () => {
    const own = await Model.load(pool, shallowFixture())
    const run = own.generate(prompt, { responseFormat: { type: 'json_object' }, maxTokens: 500 })
    const ended = errorOf(() => collect(run))
    await run.next().catch(() => {})
    own.dispose()
    expect(await ended).toBeInstanceOf(DisposedError)
  })
})

describe('the thread that follows texts', () => {
  /** Threads that are started from now on. */
  function newThreads(): Worker[] {
    const threads: Worker[] = []
    const add = (worker: Worker) => void threads.push(worker)
    process.on('worker', add)
    onTestFinished(() => void process.off('worker', add))
    return threads
  }

  it('is replaced where it dies, and the text goes on', async () => {
    const own = await Model.load(pool, shallowFixture())
    onTestFinished(() => own.dispose())
    await own.tokenizer.encodeAsync('')
    const expected = await generate({ responseFormat: json, sampling: sampling(2), maxTokens })
    const threads = newThreads()
    const options = { responseFormat: json, sampling: sampling(2), maxTokens }
    const run = own.generate(prompt, options)
    let text = ''
    for (let i = 0; i < 4; i++) text += (await run.next()).value ?? ''
    await threads[0].terminate()
    for await (const piece of run) text += piece
    expect(text).toBe(expected.text)
    expect(threads).toHaveLength(2)
  })

  it('lets a text fail whose thread dies again and again', async () => {
    const own = await Model.load(pool, shallowFixture())
    onTestFinished(() => own.dispose())
    await own.tokenizer.encodeAsync('')
    const kill = (worker: Worker) => void worker.terminate()
    process.on('worker', kill)
    onTestFinished(() => void process.off('worker', kill))
    const act = () => own.generate(prompt, { responseFormat: json }).result
    expect(await errorOf(act)).toBeInstanceOf(WorkerDiedError)
  })

  it('does not keep the process alive', async () => {
    const { code } = await runScript(`
      import { Model, Pool } from 'dotpool'
      const pool = await Pool.create({ threads: 1 })
      const model = await Model.load(pool, ${JSON.stringify(shallowFixture())})
      const responseFormat = { type: 'choice', choices: ['yes', 'no'] }
      const { text } = await model.generate('a', { responseFormat }).result
      if (text !== 'yes' && text !== 'no') process.exitCode = 1
    `)
    expect(code).toBe(0)
  })
})
