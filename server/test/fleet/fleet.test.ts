import { Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { InProcessTransport } from '#server/fleet/transport/in-process.js'
import { addWorkerRoutes } from '#server/fleet/worker/routes.js'
import type { ModelCatalog } from '#server/index.js'
import { createApp } from '#server/server.js'
import { toSettings } from '#server/settings.js'
import { shallowFixture } from '../../../test/support/shallow-fixture.js'
import { eventsOf } from '../openapi.js'
import { collect, loadModel, post, start, type TestServer } from '../support.js'
import {
  type Fleet,
  idle,
  inProcess,
  LossyTransport,
  makeFleet,
  makeMember,
  metricOf,
  until,
} from './support.js'

let pool: Pool
let model: Model
/** A server that has the model itself. */
let local: TestServer
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool)
  local = await start({ model })
})
afterAll(async () => {
  await local.close()
  await pool.close()
})

const chat = [{ role: 'user', content: 'To be, or not' }]
const city = {
  type: 'object',
  properties: { city: { enum: ['Rome', 'Paris'] } },
  required: ['city'],
  additionalProperties: false,
}
const weather = { type: 'function', function: { name: 'weather', parameters: city, strict: true } }

/** Requests of all kinds, by their path. */
const requests: [title: string, path: string, body: object][] = [
  ['the likeliest tokens', 'completions', { prompt: 'ROMEO:', max_tokens: 12, temperature: 0 }],
  ['samples by a seed', 'completions', { prompt: 'ROMEO:', max_tokens: 12, seed: 7 }],
  [
    'several choices of several prompts',
    'completions',
    { prompt: ['A', 'ROMEO:'], n: 2, max_tokens: 6, seed: 7 },
  ],
  ['log probabilities', 'completions', { prompt: 'A', max_tokens: 5, seed: 1, logprobs: 3 }],
  ['stop strings', 'completions', { prompt: 'ROMEO:', max_tokens: 40, seed: 3, stop: ['e', 'th'] }],
  [
    'penalties and biases',
    'completions',
    {
      ...{ prompt: 'ROMEO:', max_tokens: 12, seed: 3, ignore_eos: true, logit_bias: { 11: -100 } },
      ...{ repetition_penalty: 1.3, presence_penalty: 0.5, frequency_penalty: 0.5 },
    },
  ],
  ['tokens as a prompt', 'completions', { prompt: [1, 2, 3], max_tokens: 5, seed: 5 }],
  [
    'chats with log probabilities',
    'chat/completions',
    { messages: chat, max_tokens: 5, seed: 5, logprobs: true, top_logprobs: 2 },
  ],
  [
    'JSON by a schema',
    'chat/completions',
    {
      ...{ messages: chat, seed: 5 },
      response_format: { type: 'json_schema', json_schema: { name: 'city', schema: city } },
    },
  ],
  [
    'calls of functions',
    'chat/completions',
    { messages: chat, seed: 5, tools: [weather], tool_choice: 'required', max_tokens: 60 },
  ],
  ['responses', 'responses', { input: 'To be', max_output_tokens: 8, temperature: 0 }],
  ['embeddings', 'embeddings', { input: ['To be', 'or not to be'], encoding_format: 'base64' }],
]

/** An answer without what differs from one time to the next. */
function withoutIds(answer: unknown): unknown {
  const own = new Set(['id', 'created', 'created_at', 'completed_at', 'item_id', 'cached_tokens'])
  return JSON.parse(JSON.stringify(answer), (key, value) => (own.has(key) ? undefined : value))
}

async function answerOf({ url }: TestServer, path: string, body: object): Promise<unknown> {
  const answer = await post(`${url}/v1/${path}`, { model: 'model', ...body })
  const text = await answer.text()
  expect(answer.status, text).toBe(200)
  if (!answer.headers.get('content-type')?.includes('event-stream')) return JSON.parse(text)
  const events = eventsOf(text).map((event) => (event === '[DONE]' ? event : JSON.parse(event)))
  // choices come in any order among each other
  return events.sort((a, b) => (a.choices?.[0]?.index ?? 99) - (b.choices?.[0]?.index ?? 99))
}

describe('a gateway', () => {
  let fleet: Fleet
  beforeAll(async () => {
    fleet = await makeFleet([{ model }, { model }])
  })
  afterAll(async () => await fleet[Symbol.asyncDispose]())

  it.each(requests)('answers as a server that has the model itself: %s', async (_, path, body) => {
    const streams = path === 'embeddings' ? [false] : [false, true]
    for (const stream of streams) {
      const asked = stream ? { ...body, stream } : body
      const expected = withoutIds(await answerOf(local, path, asked))
      expect(withoutIds(await answerOf(fleet.server, path, asked))).toEqual(expected)
    }
  })

  it('refuses what a server that has the model itself refuses, in the same words', async () => {
    const schema = { type: 'object', properties: { a: { type: 'array', uniqueItems: true } } }
    const bodies: [path: string, body: object][] = [
      ['completions', { prompt: [1e6], max_tokens: 1 }],
      ['completions', { prompt: 'A', logit_bias: { 99999: 1 } }],
      ['embeddings', { input: 'A', dimensions: 1e6 }],
      [
        'chat/completions',
        {
          messages: chat,
          response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
        },
      ],
    ]
    for (const [path, body] of bodies) {
      const [expected, got] = await Promise.all(
        [local, fleet.server].map(async ({ url }) => {
          const answer = await post(`${url}/v1/${path}`, { model: 'model', ...body })
          return [answer.status, await answer.json()]
        }),
      )
      expect(expected[0]).toBe(400)
      expect(got).toEqual(expected)
    }
  })

  it('lists the models of its workers, and refuses to load or unload one', async () => {
    await using fleet = await makeFleet([{ model }, { model, other: model }])
    const { url } = fleet.server
    const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] }
    expect(data.map(({ id }) => id)).toEqual(['model', 'other'])
    for (const path of ['load', 'unload']) {
      const refused = await post(`${url}/models/${path}`, { model: 'model' })
      expect(refused.status).toBe(400)
      expect(await refused.json()).toMatchObject({ error: { code: 'unsupported_operation' } })
    }
    const missing = await post(`${url}/v1/completions`, { model: 'none', prompt: 'A' })
    expect(missing.status).toBe(404)
  })

  it('tells at once that there is no worker', async () => {
    await using fleet = await makeFleet([])
    const refused = await post(`${fleet.server.url}/v1/completions`, { prompt: 'A' })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
  })

  it('tells its worker of the request’s id and trace', async () => {
    const connect = inProcess()
    const sent: Record<string, unknown>[] = []
    const own = new LossyTransport(connect(), (subject, message) => {
      if (subject.endsWith('.generate')) sent.push(message)
      return false
    })
    const connections = [own, connect()]
    await using traced = await makeFleet([{ model }], () => connections.shift() ?? expect.fail())
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await fetch(`${traced.server.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'mine', traceparent },
      body: JSON.stringify({ prompt: 'A', max_tokens: 1 }),
    })
    expect(sent).toMatchObject([{ request: 'mine', trace: { traceparent } }])
  })

  it('may be a worker, too', async () => {
    const body = { prompt: 'ROMEO:', max_tokens: 5, seed: 1 }
    const expected = withoutIds(await answerOf(local, 'completions', body))
    const member = makeMember(inProcess()(), undefined, { model })
    await member.join()
    await using both = await start(member.catalog as ModelCatalog)
    expect(withoutIds(await answerOf(both, 'completions', body))).toEqual(expected)
    expect(await metricOf(both, 'dotpool_gateway_attempts_total')).toBe(1)
    expect(await metricOf(both, 'vllm:request_success_total')).toBe(1)
    await both.close()
    await member.close()
  })

  it('ends the work of a client that leaves', async () => {
    const leaving = new AbortController()
    const body = { prompt: 'ROMEO:', max_tokens: 1000, ignore_eos: true, stream: true }
    const answer = await post(`${fleet.server.url}/v1/completions`, body, leaving.signal)
    await answer.body?.getReader().read()
    leaving.abort()
    await idle(model)
    await expect.poll(() => metricOf(fleet.server, 'dotpool_gateway_attempts_in_flight')).toBe(0)
  })

  it('has a worker wait for a reader that is slow', { timeout: 300_000 }, async () => {
    using lease = await fleet.gateway.catalog?.acquire('model', new AbortController().signal)
    const options = { maxTokens: 320, ignoreEnd: true }
    const run = lease?.model.generate([1, 2], options, { id: 'slow', trace: {} })
    const chunks = run?.chunks()
    await chunks?.next()
    // it stops by itself, less than three hundred tokens ahead
    let before = -1
    await expect
      .poll(
        () => {
          const { sampledTokens } = model.stats()
          const hasStopped = sampledTokens === before
          before = sampledTokens
          return hasStopped && model.stats().running === 1
        },
        { interval: 200, timeout: 200_000 },
      )
      .toBe(true)
    const rest = await collect(chunks as AsyncGenerator<{ tokens: readonly number[] }>)
    expect(rest.flatMap(({ tokens }) => tokens).length).toBe(319)
    expect((await run?.result)?.tokens).toEqual(
      (await model.generate([1, 2], options).result).tokens,
    )
  })
})

describe('a request', () => {
  const body = { prompt: 'ROMEO:', max_tokens: 60, ignore_eos: true, seed: 11 }
  const streamed = { ...body, stream: true, stream_options: { include_usage: true } }
  let expected: unknown
  beforeAll(async () => {
    expected = withoutIds(await answerOf(local, 'completions', streamed))
  })

  /** What becomes of it where a worker loses some of what it tells; once that is cut off, there is another. */
  async function withLosses(
    loses: (message: Record<string, unknown>, worker: InProcessTransport) => boolean,
  ): Promise<{ answer: unknown; resumes: number; retries: number }> {
    const connect = inProcess()
    await using fleet = await makeFleet([], connect)
    const inner = connect() as InProcessTransport
    const lossy = new LossyTransport(inner, (subject, message) => {
      return subject.includes('.work.') && loses(message, inner)
    })
    await fleet.add({ model }, lossy)
    await until(() => fleet.gateway.gateway?.workers.size === 1)
    inner.events.once('lost', () => void fleet.add({ model }))
    return {
      answer: withoutIds(await answerOf(fleet.server, 'completions', streamed)),
      resumes: await metricOf(fleet.server, 'dotpool_gateway_resumes_total'),
      retries: await metricOf(fleet.server, 'dotpool_gateway_retries_total'),
    }
  }

  it('goes on where it was when a message is lost', async () => {
    let messages = 0
    const { answer, resumes } = await withLosses(() => ++messages === 2)
    expect(answer).toEqual(expected)
    expect(resumes).toBe(1)
  })

  it('goes on where it was when its last message is lost, which no gap tells', async () => {
    let ends = 0
    const { answer, resumes } = await withLosses(
      ({ result }) => result !== undefined && ++ends === 1,
    )
    expect(answer).toEqual(expected)
    expect(resumes).toBe(1)
  })

  it('begins anew when its first message is lost', async () => {
    let messages = 0
    const { answer, retries } = await withLosses(() => ++messages === 1)
    expect(answer).toEqual(expected)
    expect(retries).toBe(1)
  })

  it('goes on at another worker when the first is cut off', async () => {
    let messages = 0
    const { answer, resumes } = await withLosses((_, worker) => {
      if (++messages === 3) worker.cut()
      return messages >= 3
    })
    expect(answer).toEqual(expected)
    expect(resumes).toBe(1)
  })

  it('goes on at a worker of the same weights only', async () => {
    const connect = inProcess()
    // the same texts
    const other = await loadModel(pool, { quantize: 'none' })
    await using fleet = await makeFleet([], connect)
    const inner = connect() as InProcessTransport
    let messages = 0
    const lossy = new LossyTransport(inner, (subject) => {
      const isLost = subject.includes('.work.') && ++messages >= 3
      if (isLost) inner.cut()
      return isLost
    })
    await fleet.add({ model }, lossy)
    await until(() => fleet.gateway.gateway?.workers.size === 1)
    const asking = answerOf(fleet.server, 'completions', streamed)
    asking.catch(() => {})
    await until(() => !inner.isConnected)
    const { worker } = await fleet.add({ model: other })
    const { gateway } = fleet.gateway
    await expect.poll(() => [...(gateway?.workers.keys() ?? [])]).toEqual([worker?.id])
    await fleet.add({ model })
    expect(withoutIds(await asking)).toEqual(expected)
    const text = await (await fetch(`${fleet.server.url}/metrics`)).text()
    expect(text).not.toMatch(new RegExp(`^dotpool_gateway_attempts_total{.*${worker?.id}`, 'm'))
    other.dispose()
  })

  it('is tried by another worker when one is full, and refused when all are', async () => {
    const limits = { maxQueue: 0, maxContext: 64, kvBytes: 1 }
    const small = await loadModel(pool, limits)
    const other = await loadModel(pool, limits)
    await using fleet = await makeFleet([{ small }, { small: other }])
    const endless = { prompt: 'A', max_tokens: 60, ignore_eos: true, stream: true }
    const asks = Array.from({ length: 8 }, () =>
      post(`${fleet.server.url}/v1/completions`, endless),
    )
    const answers = await Promise.all(asks)
    const statuses = answers.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 429]))
    const refused = answers.find(({ status }) => status === 429) as Response
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    await Promise.all(answers.map((answer) => answer.text()))
    small.dispose()
    other.dispose()
  })

  it('waits for room where another choice of it has begun', async () => {
    const small = await loadModel(pool, { maxQueue: 0, kvBytes: 1 })
    await using fleet = await makeFleet([{ small }])
    using lease = await fleet.gateway.catalog?.acquire('small', new AbortController().signal)
    // nobody reads it, so it holds its memory
    const begin = async (group?: object) => {
      const options = { maxTokens: 1000, ignoreEnd: true, group }
      const run = lease?.model.generate([1, 2], options, { id: 'group', trace: {} })
      await run?.chunks().next()
      return run
    }
    const group = {}
    const runs = [await begin(group)]
    let refusal: unknown
    while (refusal === undefined) {
      await begin().then(
        (run) => runs.push(run),
        (error) => {
          refusal = error
        },
      )
    }
    expect(refusal).toMatchObject({ statusCode: 429 })
    const other = begin(group)
    for (const run of runs) await run?.return()
    await (await other)?.return()
    await idle(small)
    small.dispose()
  })

  it('is finished by a worker that drains, which takes no other', {
    timeout: 300_000,
  }, async () => {
    const connect = inProcess()
    await using fleet = await makeFleet([], connect)
    const first = await fleet.add({ model })
    await until(() => fleet.gateway.gateway?.workers.size === 1)
    const asking = post(`${fleet.server.url}/v1/completions`, { ...streamed, max_tokens: 300 })
    await until(() => first.worker?.size === 1)
    await fleet.add({ model })
    const draining = first.drain(300_000)
    const answer = await answerOf(fleet.server, 'completions', streamed)
    expect(withoutIds(answer)).toEqual(expected)
    await draining
    expect((await (await asking).text()).endsWith('data: [DONE]\n\n')).toBe(true)
    expect(await metricOf(fleet.server, 'dotpool_gateway_resumes_total')).toBe(0)
  })

  it('goes on at another worker when the time to drain is up', async () => {
    await using fleet = await makeFleet([])
    const first = await fleet.add({ model })
    await until(() => fleet.gateway.gateway?.workers.size === 1)
    const long = { ...streamed, max_tokens: 300 }
    const asking = answerOf(fleet.server, 'completions', long)
    await until(() => first.worker?.size === 1)
    await fleet.add({ model })
    await first.drain(0)
    expect(withoutIds(await asking)).toEqual(withoutIds(await answerOf(local, 'completions', long)))
  })

  it('of a gateway that is gone frees its rows', async () => {
    const connect = inProcess()
    const own = connect() as InProcessTransport
    let isFirst = true
    await using fleet = await makeFleet([{ model }], () => {
      if (!isFirst) return connect()
      isFirst = false
      return own
    })
    const endless = { prompt: 'A', max_tokens: 2000, ignore_eos: true, stream: true }
    const answer = await post(`${fleet.server.url}/v1/completions`, endless)
    const start = performance.now()
    own.cut()
    await idle(model)
    expect(performance.now() - start).toBeLessThan(30_000)
    own.restore()
    await answer.body?.cancel()
  })
})

describe('a worker', () => {
  it('tells by HTTP whether it serves its fleet, and who has a key its metrics', async () => {
    const member = makeMember(inProcess()(), 'worker', { model })
    const { worker, store } = member
    const app = createApp({}, false)
    const settings = toSettings({ models: {}, apiKeys: ['key'] })
    addWorkerRoutes(app, worker ?? expect.fail(), store, settings)
    const statusOf = async (url: string, authorization = '') => {
      return (await app.inject({ url, headers: { authorization } })).statusCode
    }
    expect([await statusOf('/livez'), await statusOf('/readyz')]).toEqual([200, 503])
    await member.join()
    expect([await statusOf('/livez'), await statusOf('/readyz')]).toEqual([200, 200])
    expect(await statusOf('/metrics')).toBe(401)
    expect(await statusOf('/metrics', 'Bearer key')).toBe(200)
    expect(await statusOf('/v1/models')).toBe(404)
    await member.drain(0)
    expect([await statusOf('/livez'), await statusOf('/readyz')]).toEqual([200, 503])
    await app.close()
    await member.close()
  })
})

it('has no template for a model without one', async () => {
  const plain = await Model.load(pool, shallowFixture())
  await using fleet = await makeFleet([{ plain }])
  const refused = await post(`${fleet.server.url}/v1/chat/completions`, { messages: chat })
  expect(refused.status).toBe(400)
  expect(await refused.json()).toMatchObject({ error: { param: 'messages' } })
  plain.dispose()
})
