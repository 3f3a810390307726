import { Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectNats } from '#server/fleet/transport/nats/connect.js'
import { NatsTransport } from '#server/fleet/transport/nats/transport.js'
import { fixture, loadModel, post } from '../support.js'
import { hasNats, NatsServer, tellWithoutNats } from './nats-server.js'
import { idle, makeFleet, metricOf } from './support.js'

tellWithoutNats()

describe.runIf(hasNats)('a fleet on NATS', () => {
  let pool: Pool
  let model: Model
  let nats: NatsServer
  beforeAll(async () => {
    pool = await Pool.create({ threads: 2 })
    model = await loadModel(pool)
    // small, so that messages have parts
    nats = await NatsServer.start()
  })
  afterAll(async () => {
    await nats.stop()
    await pool.close()
  })

  const connect = async () => new NatsTransport(await connectNats({ servers: [nats.url] }, 'test'))
  const sampled = { prompt: 'ROMEO:', max_tokens: 40, seed: 7, ignore_eos: true }

  async function textOf(url: string, body: object): Promise<string> {
    const answer = await post(`${url}/v1/completions`, body)
    const { choices } = (await answer.json()) as { choices: { text: string }[] }
    return choices.map(({ text }) => text).join('|')
  }

  it('answers with the bits of the model itself, also prompts that no message holds', async () => {
    await using fleet = await makeFleet([{ model }, { model }], connect)
    const sampling = { temperature: 1, seed: 7 }
    const options = { maxTokens: 40, ignoreEnd: true, sampling }
    const { text } = await model.generate('ROMEO:', options).result
    expect(await textOf(fleet.server.url, sampled)).toBe(text)
    const input = Array.from({ length: 16 }, (_, i) => `text ${i}`)
    const embedded = await post(`${fleet.server.url}/v1/embeddings`, { input })
    const { data } = (await embedded.json()) as { data: { embedding: number[] }[] }
    const vectors = await model.embed(input)
    expect(data.map(({ embedding }) => embedding)).toEqual(vectors.map((vector) => [...vector]))
  })
})

void Model
void fixture
void metricOf
void idle
