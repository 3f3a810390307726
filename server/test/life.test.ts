import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type DiagnosticsMessages, Model, Pool, QueueFullError } from 'dotpool'
import Fastify from 'fastify'
import { APIUserAbortError, AuthenticationError, RateLimitError } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dotpoolRoutes, type Models } from '#server/index.js'
import { eventsOf } from './openapi.js'
import { fixture, loadModel, openable, post, scripted, start } from './support.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool)
})
afterAll(async () => await pool.close())

const long = { prompt: 'ROMEO:', max_tokens: 1000, ignore_eos: true }

/** The next message of a channel about the model. */
async function next<Name extends keyof DiagnosticsMessages>(
  name: Name,
): Promise<DiagnosticsMessages[Name]> {
  return await new Promise((resolve) => {
    const listener = (message: unknown) => {
      if ((message as { model: object }).model !== model) return
      unsubscribe(name, listener)
      resolve(message as DiagnosticsMessages[Name])
    }
    subscribe(name, listener)
  })
}

/** Resolves once there is nothing that runs or waits. */
async function idle(of: Model): Promise<void> {
  while (of.stats().running + of.stats().waiting > 0) await new Promise(setImmediate)
}

describe('a client that leaves', () => {
  it.each([true, false])('aborts its request; streaming: %s', async (stream) => {
    const lines: string[] = []
    const logger = { stream: { write: (line: string) => lines.push(line) } }
    await using server = await start({ model }, { logger })
    const admitted = next('dotpool:request:admitted')
    const finished = next('dotpool:request:finished')
    const leaving = new AbortController()
    const request = post(`${server.url}/v1/completions`, { ...long, stream }, leaving.signal)
    request.catch(() => {})
    await admitted
    if (stream) await (await request).body?.getReader().read()
    leaving.abort()
    expect((await finished).finishReason).toBe('aborted')
    await idle(model)
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toContain(
      'vllm:request_success_total{model_name="model",finished_reason="abort"} 1',
    )
    const logged = lines.map((line) => JSON.parse(line)).filter((line) => 'status' in line)
    expect(logged).toMatchObject([
      {
        ...{ status: 499, finishReasons: ['aborted'], msg: 'the client has left' },
        usage: { prompt_tokens: model.tokenizer.encode('ROMEO:').length },
      },
    ])
  })

  it('is OpenAI’s client when it aborts', async () => {
    await using server = await start({ model })
    const stream = await server.client.completions.create({ ...long, model: 'model', stream: true })
    for await (const _ of stream) stream.controller.abort()
    const controller = new AbortController()
    const pending = server.client.completions.create(
      { ...long, model: 'model' },
      { signal: controller.signal },
    )
    controller.abort()
    await expect(pending).rejects.toThrow(APIUserAbortError)
    await idle(model)
  })

  it('wants no embeddings any more', async () => {
    await using server = await start({ model })
    const admitted = next('dotpool:request:admitted')
    const leaving = new AbortController()
    const input = Array.from({ length: 100 }, (_, i) => Array<number>(1000).fill(i + 1))
    const { tokens } = model.stats()
    const request = post(`${server.url}/v1/embeddings`, { input }, leaving.signal)
    request.catch(() => {})
    await admitted
    leaving.abort()
    await idle(model)
    expect(model.stats().tokens - tokens).toBeLessThan(100_000)
  })

  it('stops no other, if it only reads slowly', async () => {
    await using server = await start({ model })
    const body = { ...long, max_tokens: 60, stream: true }
    const slow = await post(`${server.url}/v1/completions`, body)
    const other = await server.client.completions.create({
      ...{ model: 'model', prompt: 'A', max_tokens: 5 },
    })
    expect(other.choices).toHaveLength(1)
    const events = eventsOf(await slow.text())
    // text, and the end; a token may hold a part of a code point only
    expect(events.length).toBeGreaterThan(30)
  })
})

describe('a full queue', () => {
  it('refuses with 429, and tells when to come again', async () => {
    // with memory for one page of keys and values
    const small = await loadModel(pool, { maxQueue: 1, maxContext: 64, kvBytes: 1 })
    await using server = await start({ small })
    // one of them runs, one waits, and there is no room for the others
    const refused = await post(`${server.url}/v1/completions`, { ...long, n: 8 })
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } })
    const body = { model: 'small', prompt: 'A', n: 8, stream: true as const }
    await expect(server.client.completions.create(body)).rejects.toThrow(RateLimitError)
    await idle(small)
    // the texts of one request wait one by one
    const input = ['A', 'B', 'C', 'D']
    expect((await post(`${server.url}/v1/embeddings`, { input })).status).toBe(200)
    const askWhileBusy = async () => {
      let isBusy = true
      const busy = post(`${server.url}/v1/completions`, { ...long, max_tokens: 60, n: 2 })
      void busy.finally(() => {
        isBusy = false
      })
      while (isBusy && small.stats().waiting === 0) await new Promise(setImmediate)
      const { status, headers } = await post(`${server.url}/v1/embeddings`, { input })
      await busy
      await idle(small)
      return { status, hasRetryAfter: Number(headers.get('retry-after')) > 0 }
    }
    // the others may have ended by the time that a busy machine takes it
    const refusal = { status: 429, hasRetryAfter: true }
    await expect.poll(askWhileBusy, { timeout: 30_000 }).toEqual(refusal)
    const one = await post(`${server.url}/v1/completions`, { prompt: 'A', max_tokens: 2 })
    expect(one.status).toBe(200)
    small.dispose()
  })

  it('of tokens takes all choices of a request, or none', async () => {
    const small = await loadModel(pool, { maxQueuedTokens: 10 })
    await using server = await start({ small })
    const prompt = Array.from({ length: 20 }, (_, i) => i)
    const body = { prompt: [prompt, prompt], n: 2, max_tokens: 1 }
    const answer = await post(`${server.url}/v1/completions`, body)
    expect(answer.status).toBe(200)
    expect(((await answer.json()) as { choices: unknown[] }).choices).toHaveLength(4)
    small.dispose()
  })

  it('says when its tokens will be computed, by the speed of prompts so far', async () => {
    const speed = { queuedTokens: 3000, prefillTokens: 1000, prefillMicros: 5e6 }
    const full = {
      ...scripted(model, 'a'),
      stats: () => ({ ...model.stats(), ...speed }),
      generate: () => {
        throw new QueueFullError(3000, 'tokens of prompts')
      },
    } as unknown as Model
    await using server = await start({ full })
    const refused = await post(`${server.url}/v1/completions`, long)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '15'])
    const { error } = (await refused.json()) as { error: { message: string } }
    expect(error.message).toBe(
      'as many tokens of prompts are waiting as may, 3000; try again later',
    )
  })
})

describe('time', () => {
  it('that a request takes too long ends it', async () => {
    await using server = await start({ model }, { requestTimeoutSeconds: 0.001 })
    const response = await post(`${server.url}/v1/completions`, long)
    expect(response.status).toBe(504)
    expect(await response.json()).toMatchObject({ error: { code: 'timeout' } })
  })

  it('in which there is no token is filled with comments', async () => {
    const gate = openable()
    await using server = await start(
      { model: scripted(model, 'a', gate.opened) },
      { pingSeconds: 0.001 },
    )
    const response = await post(`${server.url}/v1/completions`, { prompt: 'A', stream: true })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toMatch(/^(: ping\n\n)+$/)
    gate.open()
    let rest = ''
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      rest += part.value
    }
    expect(rest).toMatch(/data: \[DONE\]\n\n$/)
  })
})

describe('metrics', () => {
  it('have the bandwidth that was measured, beside what is read in the time of steps', async () => {
    await using server = await start({ model }, { readBandwidth: 2e10 })
    await server.client.completions.create({ model: 'model', prompt: 'A', max_tokens: 2 })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toMatch(/^dotpool_read_bandwidth_bytes_per_second 20000000000$/m)
    expect(metrics).toMatch(/^dotpool_step_seconds_total{model_name="model"} (?!0$)[\d.]+$/m)
    const bytes = pool.isa === 'typescript' ? /^0$/ : /^[1-9]\d*$/
    expect(/^dotpool_weight_bytes_total (\d+)$/m.exec(metrics)?.[1]).toMatch(bytes)
  })

  it('count the tokens of requests, but none of what ran before the server', async () => {
    const fresh = await loadModel(pool)
    await fresh.generate([1], { maxTokens: 3, ignoreEnd: true }).result
    await using server = await start({ fresh })
    const body = { prompt: 'A', max_tokens: 5, ignore_eos: true }
    for (let i = 0; i < 2; i++) await post(`${server.url}/v1/completions`, body)
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toMatch(/^vllm:generation_tokens_total{model_name="fresh"} 10$/m)
    expect(metrics).toMatch(/^vllm:time_to_first_token_seconds_count{model_name="fresh"} 2$/m)
    fresh.dispose()
  })
})

describe('keys', () => {
  it('guard every route but health', async () => {
    await using server = await start({ model }, { apiKeys: ['other', 'key'] })
    for (const path of ['/livez', '/readyz', '/health']) {
      expect((await fetch(`${server.url}${path}`)).status).toBe(200)
    }
    for (const path of ['/v1/models', '/metrics', '/openapi.json']) {
      expect((await fetch(`${server.url}${path}`)).status).toBe(401)
    }
    expect((await post(`${server.url}/tokenize`, { prompt: 'a' })).status).toBe(401)
    expect((await server.client.models.list()).data).toHaveLength(1)
    const stranger = server.client.withOptions({ apiKey: 'ke' })
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError)
  })
})

describe('options', () => {
  it.each<[name: string, options: object]>([
    ['requestTimeoutSeconds', { requestTimeoutSeconds: 1e7 }],
    ['pingSeconds', { pingSeconds: -1 }],
    ['drainSeconds', { drainSeconds: '5' }],
    ['maxChoices', { maxChoices: 0 }],
    ['bodyLimit', { bodyLimit: 0.5 }],
    ['readBandwidth', { readBandwidth: 0 }],
    ['apiKeys', { apiKeys: ['key', ''] }],
  ])('that are out of range are refused by name: %s', async (name, options) => {
    await expect(start({ model }, options)).rejects.toThrow(new RegExp(`^${name}: expected `))
  })
})

describe('a server', () => {
  it('is ready once its models are loaded', async () => {
    let loaded: (models: Models) => void = () => {}
    const models = new Promise<Models>((resolve) => {
      loaded = resolve
    })
    await using server = await start(models)
    const statuses = async () => {
      const paths = ['/livez', '/readyz', '/health', '/v1/models']
      const responses = await Promise.all(paths.map((path) => fetch(`${server.url}${path}`)))
      return responses.map(({ status }) => status)
    }
    expect(await statuses()).toEqual([200, 503, 503, 503])
    loaded(new Map([['model', model]]))
    await models
    expect(await statuses()).toEqual([200, 200, 200, 200])
  })

  it('finishes what runs when it closes, and takes nothing new', async () => {
    const gate = openable()
    const server = await start({ model: scripted(model, 'a text', gate.opened) })
    const body = { prompt: 'A', stream: true }
    const running = await post(`${server.url}/v1/completions`, body)
    const closing = server.close()
    const late = await post(`${server.url}/v1/completions`, body)
    const health = await fetch(`${server.url}/readyz`)
    expect([late.status, health.status]).toEqual([503, 503])
    gate.open()
    const events = eventsOf(await running.text()).map((event) => JSON.parse(event))
    expect(events.map(({ choices }) => choices[0].text).join('')).toBe('a text')
    await closing
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow()
  })

  it('ends what runs too long when it closes, by an event', async () => {
    const server = await start({ model }, { drainSeconds: 0 })
    const begun = next('dotpool:request:admitted')
    const streamed = await post(`${server.url}/v1/completions`, { ...long, stream: true })
    await begun
    await server.close()
    const last = eventsOf(await streamed.text()).pop() ?? ''
    expect(JSON.parse(last)).toMatchObject({ error: { code: 'unavailable' } })
    await idle(model)
  })

  it('calls from pages of other origins only where it is told to', async () => {
    const headers = { origin: 'https://example.org' }
    const allowed = async (corsOrigins?: string[]) => {
      await using server = await start({ model }, { corsOrigins })
      const response = await fetch(`${server.url}/v1/models`, { headers })
      return response.headers.get('access-control-allow-origin')
    }
    expect(await allowed()).toBeNull()
    expect(await allowed(['https://example.org'])).toBe('https://example.org')
  })

  it('tells the id of a request, a client’s own if it is plain', async () => {
    await using server = await start({ model })
    const idOf = async (id: string) => {
      const response = await fetch(`${server.url}/livez`, { headers: { 'x-request-id': id } })
      return response.headers.get('x-request-id')
    }
    expect(await idOf('abc-1')).toBe('abc-1')
    expect(await idOf('a b')).toMatch(/^[\w-]{36}$/)
  })

  it('logs a line for each request, with what it took, and none of health', async () => {
    const lines: string[] = []
    const stream = { write: (line: string) => lines.push(line) }
    await using server = await start({ model }, { logger: { stream } })
    const body = { prompt: 'A', max_tokens: 3, ignore_eos: true }
    await server.client.completions.create({ ...body, model: 'model', n: 2 })
    await post(`${server.url}/v1/completions`, { ...body, n: 9 })
    await post(`${server.url}/v1/completions`, { ...body, foo: 1 })
    await fetch(`${server.url}/health`)
    const logged = () => {
      return lines.map((line) => JSON.parse(line)).filter((line) => 'status' in line)
    }
    const reqId = expect.any(String)
    const usage = { completion_tokens: 0, prompt_tokens: 0 }
    await expect.poll(logged).toMatchObject([
      {
        ...{ reqId, model: 'model', status: 200, msg: 'completed' },
        millis: expect.any(Number),
        queueMillis: expect.any(Number),
        firstTokenMillis: expect.any(Number),
        finishReasons: ['length', 'length'],
        usage: { prompt_tokens: 1, completion_tokens: 6 },
      },
      {
        ...{ reqId, model: 'model', status: 400, usage, msg: 'refused' },
        reason: expect.stringContaining('n: at most 8'),
      },
      { reqId, status: 400, url: '/v1/completions', reason: expect.stringContaining('foo') },
    ])
  })

  it('refuses a body that is too large', async () => {
    await using server = await start({ model }, { bodyLimit: 100 })
    const response = await post(`${server.url}/tokenize`, { prompt: 'a'.repeat(100) })
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it('has no template for a model without one', async () => {
    await using plain = await start({ plain: await Model.load(pool, fixture) })
    const response = await post(`${plain.url}/v1/chat/completions`, {
      messages: [{ role: 'user', content: 'a' }],
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { param: 'messages' } })
  })
})

describe('the page', () => {
  const policyOf = async (url: string) => {
    const response = await fetch(url)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/html/)
    return response.headers.get('content-security-policy')
  }

  it('is served without a key, and may run nothing but its own', async () => {
    await using server = await start({ model }, { apiKeys: ['key'] })
    for (const path of ['/', '/docs']) {
      expect(await policyOf(`${server.url}${path}`)).toMatch(/^default-src 'self';/)
    }
    const html = await (await fetch(`${server.url}/`)).text()
    for (const [, path] of html.matchAll(/(?:src|href)="(assets[^"]*)"/g)) {
      expect((await fetch(`${server.url}/${path}`)).status, path).toBe(200)
    }
  })

  it('is not in the document of the routes', async () => {
    await using server = await start({ model })
    const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      paths: object
    }
    expect(Object.keys(paths).filter((path) => /^\/($|docs|assets|index)/.test(path))).toEqual([])
  })

  it('is left out where it is not wanted, as it is in an app', async () => {
    await using server = await start({ model }, { page: false })
    expect((await fetch(server.url)).status).toBe(404)
    const app = Fastify()
    await app.register(dotpoolRoutes, { models: { model } })
    expect((await app.inject('/')).statusCode).toBe(404)
    await app.close()
  })
})

describe('the plugin', () => {
  it('mounts in an app beside other routes', async () => {
    const app = Fastify()
    app.get('/own', () => ({ own: true }))
    await app.register(dotpoolRoutes, { prefix: '/llm', models: { model } })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    expect(await (await fetch(`${url}/own`)).json()).toEqual({ own: true })
    const answer = await post(`${url}/llm/v1/completions`, { prompt: 'A', max_tokens: 2 })
    expect(answer.status).toBe(200)
    expect((await post(`${url}/llm/v1/completions`, { prompt: 'A', foo: 2 })).status).toBe(400)
    await app.close()
  })
})
