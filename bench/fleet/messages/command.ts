import { Command } from 'commander'
import { digits, duration } from '../../../dist/src/measure/quantities.js'
import { summarize } from '../../../dist/src/measure/samples.js'
import { NatsServer } from '../nats-server.js'
import { addNumber, positive } from '../options.js'
import { measureAnnouncements } from './announcements.js'
import { Peer } from './peer.js'
import { measureRoundTrips } from './round-trips.js'
import { measureStream } from './stream.js'

interface Options {
  bytes: number
  rate?: number[]
  connections?: number[]
  seconds: number
}

export const messagesCommand = new Command('messages')
  .description('measure what NATS takes for small messages')
  .option('--bytes <n>', 'of a chunk', positive, 80)
  .option(
    '--rate <n...>',
    'chunks in a second (default: 1000 10000, and as many as there can be)',
    addNumber,
  )
  .option('--connections <n...>', 'that publish (default: 1 100)', addNumber)
  .option('--seconds <n>', 'of each measurement', positive, 3)
  .action(run)

async function run({ bytes, rate, connections, seconds }: Options): Promise<void> {
  await using server = await NatsServer.start()
  await using peer = await Peer.start(server.url)
  const { median, p99 } = summarize(await measureRoundTrips(server.url, seconds))
  console.log(`round trip of a request: ${duration(median)}, p99 ${duration(p99)}`)
  for (const count of connections ?? [1, 100]) {
    for (const perSecond of rate ?? [1000, 10_000, Number.POSITIVE_INFINITY]) {
      const order = { bytes, perSecond, seconds, connections: count }
      const stream = await measureStream(server, peer, order)
      console.log(
        `${digits(stream.perSecond)} chunks/s of ${bytes} bytes by ${count} connections; CPU of each: publisher ` +
          `${duration(stream.publisher)}, nats-server ${duration(stream.server)}, receiver ${duration(stream.receiver)}`,
      )
    }
  }
  for (const watchers of [1, 8, 32]) {
    const announced = await measureAnnouncements(server, peer, watchers, seconds)
    console.log(
      `${digits(announced.perSecond)} announcements/s of 1 KB, ${watchers} watching; CPU of each: nats-server ` +
        `${duration(announced.server)}, each that watches ${duration(announced.watcher)}`,
    )
  }
}
