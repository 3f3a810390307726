import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import type { NatsServer } from '../nats-server.js'
import type { Peer } from './peer.js'

/** What announcements take. */
export interface Announcements {
  perSecond: number
  /** CPU time for each, microseconds. */
  server: number
  /** Of each of those that watch. */
  watcher: number
}

const ORDER = {
  kind: 'announce',
  subject: 'workers',
  bytes: 1024,
  perSecond: 1000,
  connections: 1,
} as const

/** Has the peer announce a thousand workers each second in a bucket, and watches it here as so many gateways do. */
export async function measureAnnouncements(
  server: NatsServer,
  peer: Peer,
  watchers: number,
  seconds: number,
): Promise<Announcements> {
  const connections = await Promise.all(
    Array.from({ length: watchers }, () => connect({ servers: server.url })),
  )
  await new Kvm(connections[0]).create(ORDER.subject, { ttl: 3000, storage: 'memory' })
  let received = 0
  for (const connection of connections) {
    const bucket = await new Kvm(connection).open(ORDER.subject)
    const updates = await bucket.watch()
    void (async () => {
      for await (const _ of updates) received++
    })()
  }
  const [cpu, serverCpu] = [process.cpuUsage(), server.cpuMillis]
  const { sent, millis } = await peer.run({ ...ORDER, seconds })
  await Promise.all(connections.map((connection) => connection.flush()))
  const { user, system } = process.cpuUsage(cpu)
  const serverMicros = 1000 * (server.cpuMillis - serverCpu)
  await Promise.all(connections.map((connection) => connection.close()))
  if (received < sent * watchers) throw new Error(`${received} of ${sent * watchers} came`)
  return {
    perSecond: (1000 * sent) / millis,
    server: serverMicros / sent,
    watcher: (user + system) / sent / watchers,
  }
}
