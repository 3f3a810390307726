import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import type { Order, Report } from './peer.js'

/*
 * A process that publishes as it is told to, so that its CPU time is apart from the receiver's.
 */

const connection = await connect({ servers: process.argv[2] })
connection.subscribe('echo', {
  callback: (_, message) => {
    message.respond(message.data)
  },
})

process.on('message', async (order: Order) => {
  const before = process.cpuUsage()
  const start = performance.now()
  const sent = order.kind === 'publish' ? await publish(order) : await announce(order)
  const { user, system } = process.cpuUsage(before)
  const report: Report = {
    sent,
    millis: performance.now() - start,
    cpuMicros: user + system,
  }
  process.send?.(report)
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

/** Chunks that are published at once where there is no rate. */
const BURST = 1000

/** Publishes at a rate, all that are due in each millisecond together, by turns on each connection. */
async function publish({
  subject,
  bytes,
  perSecond,
  seconds,
  connections: count,
}: Order): Promise<number> {
  const chunk = new Uint8Array(bytes).fill(120)
  const connections = await Promise.all(
    Array.from({ length: count }, () => connect({ servers: process.argv[2] })),
  )
  let sent = 0
  await paced(seconds, (elapsed) => {
    const due = Math.min(perSecond * elapsed, sent + BURST)
    for (; sent < due; sent++) connections[sent % count].publish(subject, chunk)
    // as fast as they are taken, not faster
    if (perSecond === Number.POSITIVE_INFINITY) return connections[0].flush()
  })
  await Promise.all(connections.map((one) => one.drain()))
  connection.publish(subject)
  return sent
}

/** Announces at a rate, each time another worker of a thousand. */
async function announce({ subject, bytes, perSecond, seconds }: Order): Promise<number> {
  const bucket = await new Kvm(connection).open(subject)
  const value = new Uint8Array(bytes).fill(120)
  const puts: Promise<number>[] = []
  await paced(seconds, (elapsed) => {
    while (puts.length < perSecond * elapsed) puts.push(bucket.put(`w${puts.length % 1000}`, value))
  })
  await Promise.all(puts)
  return puts.length
}

/** Calls for some seconds, each millisecond. */
async function paced(
  seconds: number,
  call: (elapsed: number) => void | Promise<void>,
): Promise<void> {
  const start = performance.now()
  for (let now = start; now < start + 1000 * seconds; now = performance.now()) {
    await call((now - start) / 1000)
    const rest = 1 - (performance.now() - now)
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
  }
}
