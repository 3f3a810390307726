import { setTimeout } from 'node:timers/promises'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { type Model, Pool } from 'dotpool'
import { OpenAI, toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsStore } from '#server/batches/nats/nats-store.js'
import { hasNats, NatsServer, tellWithoutNats } from '../fleet/nats-server.js'
import { MemberProcess } from '../fleet/process.js'
import { loadModel, openable, scripted, start, type TestServer } from '../support.js'

const patient = { timeout: 60_000 }

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 1 })
  model = await loadModel(pool)
})
afterAll(async () => await pool.close())

tellWithoutNats()

interface Member extends TestServer {
  readonly connection: NatsConnection
}

/** A server that is a gateway, and runs lines. */
async function join(nats: NatsServer, served: Model): Promise<Member> {
  const connection = await connect({
    ...{ servers: nats.url, reconnectTimeWait: 100, maxReconnectAttempts: -1 },
    ...{ pingInterval: 1000 },
  })
  const batches = await NatsStore.open(connection, 'test')
  const server = await start({ model: served }, { batches, drainSeconds: 0 })
  const close = async () => {
    await server.close()
    await connection.close()
  }
  return { ...server, connection, close, [Symbol.asyncDispose]: close }
}

function bodyOf(i: number, model: string, max_tokens = 8) {
  return { model, prompt: `A ${i}`, max_tokens, seed: i, ignore_eos: true }
}

async function create(
  client: OpenAI,
  count: number,
  name = 'model',
  maxTokens?: number,
): Promise<string> {
  const lines = Array.from({ length: count }, (_, i) => {
    const body = bodyOf(i, name, maxTokens)
    return JSON.stringify({ custom_id: `${i}`, method: 'POST', url: '/v1/completions', body })
  })
  const file = await toFile(Buffer.from(lines.join('\n')), 'input.jsonl')
  const { id: input_file_id } = await client.files.create({ file, purpose: 'batch' })
  const request = { input_file_id, endpoint: '/v1/completions', completion_window: '24h' } as const
  return (await client.batches.create(request)).id
}

/** The batch once it is over; errors of those that are asked meanwhile are no matter. */
async function ended(client: OpenAI, id: string) {
  for (;;) {
    const batch = await client.batches.retrieve(id).catch(() => undefined)
    if (batch?.completed_at) return batch
    await setTimeout(100)
  }
}

async function read(client: OpenAI, id: string | null | undefined) {
  const text = await (await client.files.content(id ?? '')).text()
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i}`)
}

describe.runIf(hasNats)('a batch of a fleet', () => {
  it('has exactly one result a line, whatever is killed', async () => {
    await using nats = await NatsServer.start()
    const clientOf = ({ url }: MemberProcess) => {
      return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 })
    }
    const gateways = [await MemberProcess.gateway(nats.url), await MemberProcess.gateway(nats.url)]
    const workers = [await MemberProcess.worker(nats.url)]
    const count = 500
    const id = await create(clientOf(gateways[0]), count, 'toy', 60)
    const runMore = async (client: OpenAI, before: number): Promise<number> => {
      for (;;) {
        const { request_counts: counts } = await client.batches.retrieve(id)
        if ((counts?.completed ?? 0) > before) return counts?.completed ?? 0
        await setTimeout(20)
      }
    }
    // in the middle of lines
    const first = await runMore(clientOf(gateways[1]), 0)
    await workers[0].end()
    // it may be the one that drives the batch
    await gateways[0].end()
    workers.push(await MemberProcess.worker(nats.url))
    // lines that ran count, too, once another gateway drives it
    const second = await runMore(clientOf(gateways[1]), first)
    for (const member of [...gateways, ...workers]) await member.end()
    await nats.kill()
    expect(second).toBeLessThan(count)
    await nats.start()
    await using gateway = await MemberProcess.gateway(nats.url)
    await using _ = await MemberProcess.worker(nats.url)
    const client = clientOf(gateway)
    const batch = await ended(client, id)
    expect(batch.request_counts).toEqual({ total: count, completed: count, failed: 0 })
    const results = await read(client, batch.output_file_id)
    expect(results.map(({ custom_id }) => custom_id)).toEqual(numbers(count))
    for (const i of [0, 299, 499]) {
      const direct = await client.completions.create(bodyOf(i, 'toy', 60))
      expect(direct.choices).toEqual(results[i].response.body.choices)
    }
  }, 300_000)
})

describe.runIf(hasNats)('a batch in NATS', () => {
  it('is run by all, and told by any', async () => {
    await using nats = await NatsServer.start()
    const calls = [0, 0]
    const counted = (i: number) => {
      const generate = (...args: Parameters<Model['generate']>) => {
        calls[i]++
        return model.generate(...args)
      }
      const { pool, tokenizer, chatTemplate, maxContext, cacheBytes } = model
      const own = { pool, tokenizer, chatTemplate, maxContext, cacheBytes, generate }
      return { ...own, stats: () => model.stats() } as unknown as Model
    }
    await using a = await join(nats, counted(0))
    await using b = await join(nats, counted(1))
    const id = await create(a.client, 200)
    const batch = await ended(b.client, id)
    expect(batch.request_counts).toEqual({ total: 200, completed: 200, failed: 0 })
    const results = await read(b.client, batch.output_file_id)
    expect(results.map(({ custom_id }) => custom_id)).toEqual(numbers(200))
    expect(Math.min(...calls)).toBeGreaterThan(0)
    expect(calls[0] + calls[1]).toBe(200)
    const { body } = results[7].response
    const direct = await a.client.completions.create(bodyOf(7, 'model'))
    expect(direct.choices).toEqual(body.choices)
  })

  it('goes on when the server of NATS was killed and started again', async () => {
    await using nats = await NatsServer.start()
    await using a = await join(nats, model)
    const id = await create(a.client, 400)
    await expect
      .poll(async () => (await a.client.batches.retrieve(id)).request_counts?.completed, patient)
      .toBeGreaterThan(0)
    await nats.kill()
    const unavailable = { status: 503, code: 'unavailable' }
    await expect(a.client.batches.retrieve(id)).rejects.toMatchObject(unavailable)
    await expect(a.client.files.list()).rejects.toMatchObject(unavailable)
    await nats.start()
    const batch = await ended(a.client, id)
    expect(batch.request_counts).toEqual({ total: 400, completed: 400, failed: 0 })
    const results = await read(a.client, batch.output_file_id)
    expect(results.map(({ custom_id }) => custom_id)).toEqual(numbers(400))
  }, 120_000)

  it('goes on when all that drives and runs it is gone in the middle of lines', async () => {
    await using nats = await NatsServer.start()
    const gate = openable()
    const a = await join(nats, scripted(model, 'slow', gate.opened))
    const id = await create(a.client, 20)
    await expect
      .poll(async () => (await a.client.batches.retrieve(id)).status, patient)
      .toBe('in_progress')
    await setTimeout(500)
    // as though it were killed: nothing of it reaches NATS any more
    await a.connection.close()
    await using b = await join(nats, scripted(model, 'quick'))
    const batch = await ended(b.client, id)
    expect(batch.request_counts).toEqual({ total: 20, completed: 20, failed: 0 })
    const results = await read(b.client, batch.output_file_id)
    expect(results.map(({ response }) => response.body.choices[0].text)).toEqual(
      Array(20).fill('quick'),
    )
    gate.open()
    await a.close()
  }, 120_000)
})
