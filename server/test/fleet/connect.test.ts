import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectNats, type NatsOptions } from '#server/fleet/transport/nats/connect.js'
import { hasNats, NatsServer, startEncrypted, tellWithoutNats } from './nats-server.js'

tellWithoutNats()

const here = ['nats://127.0.0.1:1']

describe('a connection to NATS', () => {
  it.each<[string, NatsOptions, RegExp]>([
    ['no URL', { servers: [] }, /^nats.servers: expected at least one URL, got none/],
    ['another protocol', { servers: ['http://a'] }, /^nats.servers: expected a URL such as nats:/],
    ['no host', { servers: ['nats://'] }, /^nats.servers: expected a URL such as nats:/],
    ['nobody there', { servers: here }, /^nats: expected a NATS server that answers at nats:/],
    ['two ways', { servers: here, user: 'a', token: 'b' }, /^credentials: .* got token and user/],
    ['a password alone', { servers: here, password: 'a' }, /^password: expected a user beside it/],
    ['no file', { servers: here, credsFile: '/nowhere' }, /^credsFile: expected a file that can/],
    ['half a pair', { servers: here, tls: { cert: 'a' } }, /^tls: .* its key, got only a/],
    ['no authority', { servers: here, tls: { ca: '/nowhere' } }, /^tls: expected a file that can/],
  ])('names what is wrong with its options: %s', async (_, options, message) => {
    await expect(connectNats(options, 'test')).rejects.toThrow(message)
  })
})

describe.runIf(hasNats)('a connection to a server that asks who comes', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
  })
  afterAll(async () => await rm(folder, { recursive: true }))

  async function connects(options: NatsOptions): Promise<void> {
    const connection = await connectNats(options, 'test')
    await connection.flush()
    await connection.close()
  }

  it('has a user and a password, also in its URL', async () => {
    await using nats = await NatsServer.start('--user', 'me', '--pass', 'a b')
    const servers = [nats.url]
    await connects({ servers, user: 'me', password: 'a b' })
    await connects({ servers: [`nats://me:a%20b@127.0.0.1:${nats.port}`] })
    const refused = /^credentials: expected some that nats:.* accept/
    await expect(connectNats({ servers, user: 'me', password: 'b' }, 'test')).rejects.toThrow(
      refused,
    )
    await expect(connectNats({ servers }, 'test')).rejects.toThrow(refused)
  })

  it('has a token', async () => {
    await using nats = await NatsServer.start('--auth', 'secret')
    await connects({ servers: [nats.url], token: 'secret' })
  })

  it('is encrypted, and both sides show who they are', async () => {
    const { nats, tls } = await startEncrypted(folder)
    await using _ = nats
    await connects({ servers: [nats.url], tls })
    await connects({ servers: [nats.url.replace('nats:', 'tls:')], tls })
  })
})
