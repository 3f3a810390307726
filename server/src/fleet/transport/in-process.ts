import { EventEmitter } from 'node:events'
import type {
  Blobs,
  Bucket,
  Handlers,
  Subscription,
  Transport,
  TransportEvents,
} from './transport.js'

interface Value {
  readonly bytes: Uint8Array
  readonly expiresAt: number
}

type Watcher = (key: string, value: Uint8Array | undefined) => void

/** A fleet within one process: what its members share in place of a server. */
export class InProcessHub {
  readonly #members = new Set<InProcessTransport>()
  readonly #buckets = new Map<string, Map<string, Value>>()
  readonly #blobs = new Map<string, Map<string, Uint8Array>>()

  connect(): InProcessTransport {
    const member: InProcessTransport = new InProcessTransport(this, () => {
      this.#members.delete(member)
    })
    this.#members.add(member)
    return member
  }

  /** @internal Whether anybody listens. */
  deliver(subject: string, payload: Uint8Array): boolean {
    const listeners = [...this.#members].filter((member) => member.listensTo(subject))
    for (const listener of listeners) listener.receive(subject, payload)
    return listeners.length > 0
  }

  /** @internal */
  values(bucket: string): Map<string, Value> {
    return find(this.#buckets, bucket)
  }

  /** @internal */
  blobs(name: string): Map<string, Uint8Array> {
    return find(this.#blobs, name)
  }

  /** @internal */
  changed(bucket: string, key: string, value: Uint8Array | undefined): void {
    for (const member of this.#members) member.changed(bucket, key, value)
  }
}

/** One member's connection to a {@link InProcessHub}. */
export class InProcessTransport implements Transport {
  readonly events = new EventEmitter<TransportEvents>()
  readonly #hub: InProcessHub
  readonly #leave: () => void
  readonly #subscriptions = new Set<{ pattern: string; handlers: Handlers }>()
  readonly #watchers = new Set<{ bucket: string; watcher: Watcher }>()
  #isConnected = true

  /** @internal */
  constructor(hub: InProcessHub, leave: () => void) {
    this.#hub = hub
    this.#leave = leave
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Loses the connection: nothing comes or goes until {@link restore}. */
  cut(): void {
    this.#isConnected = false
    this.events.emit('lost')
  }

  restore(): void {
    this.#isConnected = true
    for (const { bucket, watcher } of this.#watchers) this.#tellAll(bucket, watcher)
    this.events.emit('restored')
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    if (!this.#isConnected) return
    const copy = payload.slice()
    setImmediate(() => {
      if (this.#hub.deliver(subject, copy) || reply === undefined) return
      for (const { pattern, handlers } of this.#subscriptions) {
        if (this.#isConnected && matches(pattern, reply)) handlers.onNobody?.(reply)
      }
    })
  }

  subscribe(subject: string, handlers: Handlers): Subscription {
    const subscription = { pattern: subject, handlers }
    this.#subscriptions.add(subscription)
    return { end: () => this.#subscriptions.delete(subscription) }
  }

  bucket(name: string, ttlMillis: number): Bucket {
    const values = this.#hub.values(name)
    return {
      open: async () => {},
      put: async (key, value) => {
        this.#check()
        const bytes = value.slice()
        values.set(key, { bytes, expiresAt: performance.now() + ttlMillis })
        this.#hub.changed(name, key, bytes)
      },
      delete: async (key) => {
        this.#check()
        values.delete(key)
        this.#hub.changed(name, key, undefined)
      },
      watch: (watcher) => {
        const watching = { bucket: name, watcher }
        this.#watchers.add(watching)
        this.#tellAll(name, watcher)
        return { end: () => this.#watchers.delete(watching) }
      },
    }
  }

  blobs(name: string): Blobs {
    const blobs = this.#hub.blobs(name)
    return {
      has: async (key) => blobs.has(key),
      put: async (key, value) => {
        this.#check()
        blobs.set(key, value.slice())
      },
      get: async (key) => {
        this.#check()
        return blobs.get(key)?.slice()
      },
    }
  }

  async close(): Promise<void> {
    this.#isConnected = false
    this.#leave()
  }

  /** @internal */
  listensTo(subject: string): boolean {
    if (!this.#isConnected) return false
    return [...this.#subscriptions].some(({ pattern }) => matches(pattern, subject))
  }

  /** @internal */
  receive(subject: string, payload: Uint8Array): void {
    for (const { pattern, handlers } of this.#subscriptions) {
      if (matches(pattern, subject)) handlers.onMessage({ subject, payload })
    }
  }

  /** @internal */
  changed(name: string, key: string, value: Uint8Array | undefined): void {
    setImmediate(() => {
      if (!this.#isConnected) return
      for (const { bucket, watcher } of this.#watchers) if (bucket === name) watcher(key, value)
    })
  }

  #tellAll(name: string, watcher: Watcher): void {
    const now = performance.now()
    for (const [key, { bytes, expiresAt }] of this.#hub.values(name)) {
      if (expiresAt > now) setImmediate(() => watcher(key, bytes))
    }
  }

  #check(): void {
    if (!this.#isConnected) throw new Error('the connection is gone')
  }
}

function find<Key, Value>(maps: Map<string, Map<Key, Value>>, name: string): Map<Key, Value> {
  const found = maps.get(name) ?? new Map<Key, Value>()
  maps.set(name, found)
  return found
}

/** Whether a subscription is to get what is published on a subject. */
function matches(pattern: string, subject: string): boolean {
  const words = subject.split('.')
  const wanted = pattern.split('.')
  return wanted.length === words.length && wanted.every((w, i) => w === '*' || w === words[i])
}
