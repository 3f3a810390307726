import type { EventEmitter } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { type JetStreamClient, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm, type KvWatchEntry } from '@nats-io/kv'
import type { QueuedIterator } from '@nats-io/transport-node'
import type { Bucket, Subscription, TransportEvents } from '../transport.js'
import { firstOf } from './first-of.js'
import { noJetStream } from './no-jet-stream.js'

/** When a watch that has ended begins anew. */
const RETRY_MILLIS = 500

/** A bucket of JetStream's key-value store. It is in memory: a server that starts anew has none, until it is made again. */
export class NatsBucket implements Bucket {
  readonly #kvm: Kvm
  readonly #name: string
  readonly #ttlMillis: number
  readonly #replicas: readonly number[]
  readonly #events: EventEmitter<TransportEvents>
  #opening: Promise<KV> | undefined

  constructor(
    client: JetStreamClient,
    name: string,
    ttlMillis: number,
    replicas: readonly number[],
    events: EventEmitter<TransportEvents>,
  ) {
    this.#replicas = replicas
    this.#kvm = new Kvm(client)
    this.#name = name
    this.#ttlMillis = ttlMillis
    this.#events = events
    events.on('restored', () => this.#forget())
  }

  async open(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      throw noJetStream(error)
    }
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#use((bucket) => bucket.put(key, value))
  }

  async delete(key: string): Promise<void> {
    await this.#use((bucket) => bucket.delete(key))
  }

  watch(onChange: (key: string, value: Uint8Array | undefined) => void): Subscription {
    const watch = new Watch(this, onChange, this.#events)
    return { end: () => watch.end() }
  }

  /** @internal */
  async entries(): Promise<QueuedIterator<KvWatchEntry>> {
    return await this.#use((bucket) => bucket.watch())
  }

  async #use<Result>(work: (bucket: KV) => Promise<Result>): Promise<Result> {
    const bucket = await this.#open()
    try {
      return await work(bucket)
    } catch (error) {
      // it may be gone
      this.#forget()
      throw error
    }
  }

  #open(): Promise<KV> {
    const options = { storage: StorageType.Memory, ttl: this.#ttlMillis }
    this.#opening ??= firstOf(this.#replicas, (replicas) =>
      this.#kvm.create(this.#name, { ...options, replicas }),
    )
    this.#opening.catch(() => this.#forget())
    return this.#opening
  }

  #forget(): void {
    this.#opening = undefined
  }
}

/** Watches a bucket, and begins anew where that ends, or the connection was lost. */
class Watch {
  readonly #bucket: NatsBucket
  readonly #onChange: (key: string, value: Uint8Array | undefined) => void
  readonly #events: EventEmitter<TransportEvents>
  readonly #beginAnew = () => {
    this.#entries?.stop()
    void this.#run()
  }
  /** The last that has begun: those before end. */
  #runs = 0
  #entries: QueuedIterator<KvWatchEntry> | undefined
  #hasEnded = false

  constructor(
    bucket: NatsBucket,
    onChange: (key: string, value: Uint8Array | undefined) => void,
    events: EventEmitter<TransportEvents>,
  ) {
    this.#bucket = bucket
    this.#onChange = onChange
    this.#events = events
    events.on('restored', this.#beginAnew)
    void this.#run()
  }

  end(): void {
    this.#hasEnded = true
    this.#events.off('restored', this.#beginAnew)
    this.#entries?.stop()
  }

  async #run(): Promise<void> {
    const run = ++this.#runs
    const isOver = () => this.#hasEnded || run !== this.#runs
    while (!isOver()) {
      try {
        const entries = await this.#bucket.entries()
        if (isOver()) return entries.stop()
        this.#entries = entries
        for await (const { key, operation, value } of entries) {
          this.#onChange(key, operation === 'PUT' ? value : undefined)
        }
      } catch (error) {
        if (!isOver()) this.#events.emit('failed', error)
      }
      if (!isOver()) await setTimeout(RETRY_MILLIS, undefined, { ref: false })
    }
  }
}
