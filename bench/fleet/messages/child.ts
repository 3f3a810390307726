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

/** Publishes at a rate, all that are due in each millisecond together. */
async function publish({ subject, bytes, perSecond, seconds }: Order): Promise<number> {
  const chunk = new Uint8Array(bytes).fill(120)
  let sent = 0
  await paced(seconds, (elapsed) => {
    const due = Math.min(perSecond * elapsed, sent + 1000)
    for (; sent < due; sent++) connection.publish(subject, chunk)
  })
  connection.publish(subject)
  await connection.flush()
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

/** Calls for some seconds, each millisecond, and waits for the connection in between. */
async function paced(seconds: number, call: (elapsed: number) => void): Promise<void> {
  const start = performance.now()
  for (let now = start; now < start + 1000 * seconds; now = performance.now()) {
    call((now - start) / 1000)
    await connection.flush()
    const rest = 1 - (performance.now() - now)
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
  }
}
