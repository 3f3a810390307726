import { connect } from '@nats-io/transport-node'
import type { NatsServer } from '../nats-server.js'
import type { Order, Peer } from './peer.js'

/** What a stream of chunks takes. */
export interface Stream {
  /** Chunks that came in a second. */
  perSecond: number
  /** CPU time for each chunk, microseconds. */
  publisher: number
  server: number
  receiver: number
}

/** As long as that of a request's answer. */
const SUBJECT = `dotpool.gateway.${'x'.repeat(20)}.work.${'y'.repeat(36)}`

/** Has the peer publish chunks at a rate, and receives them here. */
export async function measureStream(
  server: NatsServer,
  peer: Peer,
  order: Pick<Order, 'bytes' | 'perSecond' | 'seconds' | 'connections'>,
): Promise<Stream> {
  const connection = await connect({ servers: server.url })
  let received = 0
  const end = new Promise<void>((resolve) => {
    connection.subscribe(SUBJECT, {
      callback: (_, { data }) => {
        if (data.length > 0) received++
        else resolve()
      },
    })
  })
  await connection.flush()
  const [cpu, serverCpu] = [process.cpuUsage(), server.cpuMillis]
  const report = await peer.run({ kind: 'publish', subject: SUBJECT, ...order })
  await end
  const { user, system } = process.cpuUsage(cpu)
  const serverMicros = 1000 * (server.cpuMillis - serverCpu)
  await connection.close()
  if (received !== report.sent) throw new Error(`${received} of ${report.sent} chunks came`)
  return {
    perSecond: (1000 * received) / report.millis,
    publisher: report.cpuMicros / received,
    server: serverMicros / received,
    receiver: (user + system) / received,
  }
}
