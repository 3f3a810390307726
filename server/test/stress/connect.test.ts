import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { connectNats } from '#server/fleet/transport/nats/connect.js'
import { hasNats, startEncrypted, tellWithoutNats } from '../fleet/nats-server.js'

tellWithoutNats()

// the server says nothing, so it takes as long as a connection may
it.runIf(hasNats)(
  'a client without a certificate is refused by a server that asks for one',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
    const { nats, tls } = await startEncrypted(folder)
    await using _ = nats
    const connecting = connectNats({ servers: [nats.url], tls: { ca: tls.ca } }, 'test')
    await expect(connecting).rejects.toThrow(/^nats: expected/)
    await rm(folder, { recursive: true })
  },
)
