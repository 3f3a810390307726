import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import type { Batch } from '../../schemas/batches.js'
import type { BatchTable } from '../store.js'
import { reach } from './reach.js'
import type { Restored } from './restored.js'

/** Batches in a bucket of JetStream's key-value store: who changes one, has seen what it was. */
export class NatsBatches implements BatchTable {
  readonly #bucket: KV
  readonly #restored: Restored

  constructor(bucket: KV, restored: Restored) {
    this.#bucket = bucket
    this.#restored = restored
  }

  async create(batch: Batch): Promise<void> {
    await reach(() => this.#bucket.create(keyOf(batch.id), JSON.stringify(batch)))
  }

  async get(id: string): Promise<Batch | undefined> {
    return (await this.#entry(id))?.batch
  }

  async list(): Promise<Batch[]> {
    const entries = await reach(async () => {
      const keys: string[] = []
      for await (const key of await this.#bucket.keys(keyOf('>'))) keys.push(key)
      return await Promise.all(keys.map((key) => this.#bucket.get(key)))
    })
    return entries.flatMap((entry) => (entry?.operation === 'PUT' ? [entry.json<Batch>()] : []))
  }

  async update(
    id: string,
    change: (batch: Batch) => Batch | undefined,
  ): Promise<Batch | undefined> {
    for (;;) {
      const entry = await this.#entry(id)
      const after = entry && change(entry.batch)
      if (entry === undefined || after === undefined) return entry?.batch
      if (await this.#replace(after, entry.revision)) return after
    }
  }

  async *changes(signal: AbortSignal): AsyncGenerator<Batch, void, void> {
    while (!signal.aborted) {
      const entries = await this.#bucket.watch({ key: keyOf('>'), ignoreDeletes: true })
      const stop = () => entries.stop()
      // it begins anew, with all of them
      const end = this.#restored.on(stop)
      signal.addEventListener('abort', stop)
      try {
        for await (const entry of entries) yield entry.json<Batch>()
      } finally {
        end()
        signal.removeEventListener('abort', stop)
        stop()
      }
    }
    signal.throwIfAborted()
  }

  /** Returns whether nobody else has changed it meanwhile. */
  async #replace(batch: Batch, revision: number): Promise<boolean> {
    return await reach(async () => {
      try {
        await this.#bucket.update(keyOf(batch.id), JSON.stringify(batch), revision)
        return true
      } catch (error) {
        if (isOutdated(error)) return false
        throw error
      }
    })
  }

  async #entry(id: string): Promise<{ batch: Batch; revision: number } | undefined> {
    // an id of a request may be no key
    if (!/^[\w-]+$/.test(id)) return undefined
    const entry = await reach(() => this.#bucket.get(keyOf(id)))
    if (entry?.operation !== 'PUT') return undefined
    return { batch: entry.json<Batch>(), revision: entry.revision }
  }
}

function keyOf(id: string): string {
  return `batch.${id}`
}

/** Whether something was written since it was read. */
export function isOutdated(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence
  )
}
