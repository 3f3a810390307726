import { type Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectNats } from '#server/fleet/transport/nats/connect.js'
import { NatsTransport } from '#server/fleet/transport/nats/transport.js'
import { loadModel, post } from '../support.js'
import { hasNats, NatsServer, tellWithoutNats } from './nats-server.js'
import { makeFleet, until } from './support.js'

tellWithoutNats()

describe.runIf(hasNats)('on NATS', () => {
  let nats: NatsServer
  beforeAll(async () => {
    nats = await NatsServer.start()
  })
  afterAll(async () => await nats.stop())

  const connect = async () => new NatsTransport(await connectNats({ servers: [nats.url] }, 'test'))

  describe('a fleet', () => {
    let pool: Pool
    let model: Model
    beforeAll(async () => {
      pool = await Pool.create({ threads: 2 })
      model = await loadModel(pool)
    })
    afterAll(async () => await pool.close())

    it('answers with the bits of the model itself', async () => {
      await using fleet = await makeFleet([{ model }, { model }], connect)
      const { url } = fleet.server
      const body = { prompt: 'ROMEO:', max_tokens: 40, seed: 7, ignore_eos: true }
      const answer = await post(`${url}/v1/completions`, body)
      const { choices } = (await answer.json()) as { choices: { text: string }[] }
      const sampling = { temperature: 1, seed: 7 }
      const options = { maxTokens: 40, ignoreEnd: true, sampling }
      expect(choices[0].text).toBe((await model.generate('ROMEO:', options).result).text)
      const input = ['To be', 'or not to be']
      const embedded = await post(`${url}/v1/embeddings`, { input })
      const { data } = (await embedded.json()) as { data: { embedding: number[] }[] }
      const vectors = await model.embed(input)
      expect(data.map(({ embedding }) => embedding)).toEqual(vectors.map((vector) => [...vector]))
    })
  })

  /** A value of a bucket, in a word. */
  const tell = (value: Uint8Array | undefined) => (value === undefined ? 'gone' : [...value].join())

  describe('a transport', () => {
    it('carries messages of any size, in their order', async () => {
      const [sender, receiver] = [await connect(), await connect()]
      const got: string[] = []
      receiver.subscribe('sizes.*', {
        onMessage: ({ subject, payload }) => {
          got.push(`${subject} ${payload.length} ${payload.at(-1)}`)
        },
      })
      await receiver.bucket('flush', 1000).open()
      const sizes = [1, 3 << 20, 10, (1 << 20) + 1, 0]
      for (const [i, size] of sizes.entries()) {
        sender.publish(`sizes.${i}`, new Uint8Array(size).fill(i))
      }
      await until(() => got.length === sizes.length)
      const expected = sizes.map((size, i) => `sizes.${i} ${size} ${size === 0 ? undefined : i}`)
      expect(got).toEqual(expected)
      await Promise.all([sender.close(), receiver.close()])
    })

    it('tells whom nobody listens to', async () => {
      const transport = await connect()
      const told: string[] = []
      transport.subscribe('replies.*', {
        onMessage: () => expect.fail(),
        onNobody: (subject) => told.push(subject),
      })
      transport.publish('nobody.there', new Uint8Array(3 << 20), 'replies.large')
      transport.publish('nobody.there', new Uint8Array(1), 'replies.small')
      await until(() => told.length === 2)
      expect(told).toEqual(['replies.large', 'replies.small'])
      await transport.close()
    })

    it('keeps what is put for its time, and tells what changes', async () => {
      const [a, b] = [await connect(), await connect()]
      const bucket = a.bucket('kept', 500)
      await bucket.put('first', new Uint8Array([1]))
      const seen = new Map<string, string>()
      const watching = b.bucket('kept', 500).watch((key, value) => {
        seen.set(key, tell(value))
      })
      await until(() => seen.get('first') === '1')
      await bucket.put('first', new Uint8Array([2]))
      await bucket.put('second', new Uint8Array([3]))
      await bucket.delete('first')
      await until(() => seen.get('first') === 'gone' && seen.get('second') === '3')
      watching.end()
      const later = new Map<string, string>()
      await expect
        .poll(async () => {
          later.clear()
          const found = b.bucket('kept', 500).watch((key, value) => later.set(key, tell(value)))
          await new Promise((resolve) => setTimeout(resolve, 200))
          found.end()
          return [...later.values()].filter((value) => value !== 'gone')
        })
        .toEqual([])
      await Promise.all([a.close(), b.close()])
    })

    it('goes on when the server was started anew, which has lost what was in memory', async () => {
      await using own = await NatsServer.start()
      const transport = new NatsTransport(await connectNats({ servers: [own.url] }, 'test'))
      const bucket = transport.bucket('kept', 60_000)
      const seen: string[] = []
      bucket.watch((key, value) => seen.push(`${key} ${tell(value)}`))
      await bucket.put('a', new Uint8Array([1]))
      const blobs = transport.blobs('blobs')
      await blobs.put('b', new Uint8Array([2]))
      expect([await blobs.has('b'), await blobs.has('c')]).toEqual([true, false])
      await own.kill()
      await until(() => !transport.isConnected)
      await own.start()
      await until(() => transport.isConnected)
      await expect
        .poll(async () => {
          await bucket.put('a', new Uint8Array([3])).catch(() => {})
          return seen.at(-1)
        })
        .toBe('a 3')
      expect(tell(await blobs.get('b'))).toBe('2')
      await transport.close()
    })
  })
})
