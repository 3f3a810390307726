import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { type Model, Pool, PoolBrokenError } from 'dotpool'
import Fastify from 'fastify'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { dotpoolRoutes } from '#server/index.js'
import { loadModel, openable, post, scripted, start } from './support.js'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const parentId = 'b7ad6b7169203331'
const traceparent = `00-${traceId}-${parentId}-01`

let pool: Pool
let model: Model
const exporter = new InMemorySpanExporter()
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool)
})
afterAll(async () => await pool.close())

/** The next span that ends. */
async function nextSpan(): Promise<ReadableSpan> {
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(1)
  return exporter.getFinishedSpans()[0]
}

async function send(url: string, path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json', traceparent }
  return await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
}

/** A server, and what it logs of requests. */
async function startLogged(of: Model) {
  const lines: string[] = []
  const logger = { stream: { write: (line: string) => lines.push(line) } }
  const server = await start({ model: of }, { logger })
  const logged = () => lines.map((line) => JSON.parse(line)).filter((line) => 'status' in line)
  return { server, logged }
}

it('a log line has the trace id of its request, also without OpenTelemetry', async () => {
  const { server, logged } = await startLogged(model)
  await using _server = server
  await send(server.url, '/v1/completions', { prompt: 'A', max_tokens: 1 })
  await expect.poll(logged).toMatchObject([{ trace_id: traceId, msg: 'completed' }])
  expect(logged()[0]).not.toHaveProperty('span_id')
})

describe('spans', () => {
  beforeAll(() => {
    const spanProcessors = [new SimpleSpanProcessor(exporter)]
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }))
    propagation.setGlobalPropagator(new W3CTraceContextPropagator())
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  })
  beforeEach(() => exporter.reset())
  afterAll(() => {
    trace.disable()
    propagation.disable()
    context.disable()
  })

  it('tell what was asked for and what it took, as children of a client’s', async () => {
    const { server, logged } = await startLogged(model)
    await using _server = server
    await send(server.url, '/v1/chat/completions', {
      ...{ model: 'model', messages: [{ role: 'user', content: 'What?' }], max_tokens: 3 },
      ...{ temperature: 0.5, top_p: null, seed: 7, n: 2, stop: 'zzz', ignore_eos: true },
    })
    const span = await nextSpan()
    expect([span.name, span.kind]).toEqual(['chat model', SpanKind.SERVER])
    expect(span.spanContext().traceId).toBe(traceId)
    expect(span.parentSpanContext?.spanId).toBe(parentId)
    expect(span.status.code).toBe(SpanStatusCode.UNSET)
    const tokens = model.tokenizer.encode('USER: What?\nASSISTANT:').length
    expect(span.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'dotpool',
      'gen_ai.request.model': 'model',
      'gen_ai.request.temperature': 0.5,
      'gen_ai.request.max_tokens': 3,
      'gen_ai.request.seed': 7,
      'gen_ai.request.choice.count': 2,
      'gen_ai.request.stop_sequences': ['zzz'],
      'gen_ai.response.finish_reasons': ['length', 'length'],
      'gen_ai.usage.input_tokens': tokens,
      'gen_ai.usage.output_tokens': 6,
      'gen_ai.usage.cache_read.input_tokens': 0,
      'gen_ai.latency.time_in_queue': expect.any(Number),
      'gen_ai.latency.time_to_first_token': expect.any(Number),
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(server.url).port),
    })
    expect(logged()).toMatchObject([{ trace_id: traceId, span_id: span.spanContext().spanId }])
  })

  it('are children of the span that an app has for the request', async () => {
    const app = Fastify()
    const own = trace.getTracer('app').startSpan('POST')
    app.addHook('onRequest', (_request, _reply, done) => {
      context.with(trace.setSpan(context.active(), own), done)
    })
    app.register(dotpoolRoutes, { models: { model } })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    await send(url, '/v1/completions', { prompt: 'A', max_tokens: 1 })
    const span = await nextSpan()
    expect([span.name, span.kind]).toEqual(['text_completion model', SpanKind.INTERNAL])
    expect(span.parentSpanContext?.spanId).toBe(own.spanContext().spanId)
    await app.close()
  })

  it('tell mistakes of a client by their code, and are no errors', async () => {
    await using server = await start({ model })
    await post(`${server.url}/v1/completions`, { prompt: Array(2000).fill(1) })
    const { attributes, status } = await nextSpan()
    expect(attributes['error.type']).toBe('context_length_exceeded')
    expect(attributes).not.toHaveProperty('gen_ai.response.finish_reasons')
    expect(status.code).toBe(SpanStatusCode.UNSET)
  })

  it('are errors where the server has failed', async () => {
    const broken = {
      ...scripted(model, 'a'),
      generate: () => {
        throw new PoolBrokenError('no threads')
      },
    } as unknown as Model
    await using server = await start({ broken })
    await post(`${server.url}/v1/completions`, { prompt: 'A' })
    const { attributes, status } = await nextSpan()
    expect(attributes['error.type']).toBe('unavailable')
    expect(status.code).toBe(SpanStatusCode.ERROR)
  })

  it('end where a client leaves, as the log line does', async () => {
    const gate = openable()
    const { server, logged } = await startLogged(scripted(model, 'a text', gate.opened))
    await using _server = server
    const leaving = new AbortController()
    const body = { prompt: 'A', stream: true }
    const response = await post(`${server.url}/v1/completions`, body, leaving.signal)
    await response.body?.getReader().read()
    leaving.abort()
    expect((await nextSpan()).attributes['error.type']).toBe('client_gone')
    expect(logged()).toMatchObject([{ status: 499, msg: 'the client has left' }])
    gate.open()
  })
})
