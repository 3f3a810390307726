import {
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { Objm } from '@nats-io/obj'
import type { NatsConnection } from '@nats-io/transport-node'
import type { BatchStore, Hold } from '../store.js'
import { LargeValues } from './large-values.js'
import { LineConsumers } from './line-consumers.js'
import { NatsBatches } from './nats-batches.js'
import { NatsFiles } from './nats-files.js'
import { HOLD_MILLIS, hold } from './nats-hold.js'
import { NatsQueue } from './nats-queue.js'
import { NatsResults } from './nats-results.js'
import { Places } from './places.js'
import { Restored } from './restored.js'

type Parts = Pick<NatsStore, 'files' | 'batches' | 'queue' | 'results'> & {
  holds: Parameters<typeof hold>[0]
}

/** Files and batches of a fleet, in JetStream: on the disk of the NATS server. */
export class NatsStore implements BatchStore {
  readonly files: NatsFiles
  readonly batches: NatsBatches
  readonly queue: NatsQueue
  readonly results: NatsResults
  readonly #holds: Parts['holds']

  private constructor({ files, batches, queue, results, holds }: Parts) {
    this.files = files
    this.batches = batches
    this.queue = queue
    this.results = results
    this.#holds = holds
  }

  /**
   * Opens the batches of a fleet, or makes a place for them.
   *
   * @param connection stays open when the store is closed
   * @param prefix of the fleet
   */
  static async open(connection: NatsConnection, prefix: string): Promise<NatsStore> {
    const places = new Places(prefix)
    const client = jetstream(connection)
    const manager = await jetstreamManager(connection)
    await makeStreams(manager, places)
    const storage = StorageType.File
    const objects = new Objm(client)
    const buckets = new Kvm(client)
    const bucket = await buckets.create(places.batches, { storage })
    const holds = await buckets.create(places.holds, { storage, ttl: HOLD_MILLIS })
    const values = new LargeValues(connection, await objects.create(places.large, { storage }))
    const restored = new Restored(connection)
    const batches = new NatsBatches(bucket, restored)
    const results = new NatsResults(client, manager, values, places, restored)
    const consumers = new LineConsumers(client, manager, places, restored)
    const kept = { batches, bucket, results }
    const parts = { connection, client, manager, places, values, consumers, ...kept }
    return new NatsStore({
      files: new NatsFiles(await objects.create(places.files, { storage })),
      batches,
      queue: new NatsQueue(parts),
      results,
      holds,
    })
  }

  async hold(batchId: string, signal: AbortSignal): Promise<Hold> {
    return await hold(this.#holds, batchId, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.queue.end()
  }
}

async function makeStreams({ streams }: JetStreamManager, places: Places): Promise<void> {
  const storage = StorageType.File
  await streams.add({
    name: places.lines,
    subjects: [places.line('*', '*', '*')],
    retention: RetentionPolicy.Workqueue,
    storage,
  })
  await streams.add({
    name: places.results,
    subjects: [places.result('*', '*')],
    storage,
    allow_direct: true,
  })
}
