import { EventEmitter } from 'node:events'
import { jetstream } from '@nats-io/jetstream'
import { headers, type Msg, type NatsConnection, nuid } from '@nats-io/transport-node'
import { within } from '../../../within.js'
import { Assembler, formatPart, parsePart, partsOf } from '../parts.js'
import type {
  Blobs,
  Bucket,
  Handlers,
  Message,
  Subscription,
  Transport,
  TransportEvents,
} from '../transport.js'
import { NatsBlobs } from './blobs.js'
import { NatsBucket } from './bucket.js'

/** What a message is a part of. */
const PART = 'Dotpool-Part'
/** Bytes of a payload that headers may take. */
const HEADERS = 1024
/** What sending the last messages may take. */
const FLUSH_MILLIS = 2000
/** The status of a message that tells that nobody listens. */
const NO_RESPONDERS = 503

/** Carries messages by a connection to NATS. */
export class NatsTransport implements Transport {
  readonly events = new EventEmitter<TransportEvents>()
  readonly #connection: NatsConnection
  #isConnected = true

  constructor(connection: NatsConnection) {
    this.#connection = connection
    void this.#follow()
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    // the client would keep some of what it cannot send, and drop the rest
    if (!this.#isConnected || this.#connection.isClosed()) return
    const options = reply === undefined ? {} : { reply }
    const most = this.#maxPayload
    if (payload.length <= most) this.#connection.publish(subject, payload, options)
    else this.#publishParts(subject, payload, most, options)
  }

  #publishParts(
    subject: string,
    payload: Uint8Array,
    most: number,
    options: { reply?: string },
  ): void {
    for (const [part, piece] of partsOf(payload, nuid.next(), most)) {
      const told = headers()
      told.set(PART, formatPart(part))
      // it is enough to be told once that nobody listens
      const first = part.index === 0 ? options : {}
      this.#connection.publish(subject, piece, { ...first, headers: told })
    }
  }

  subscribe(subject: string, handlers: Handlers): Subscription {
    const assembler = new Assembler()
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) this.events.emit('failed', error)
        else if (message.headers?.code === NO_RESPONDERS) handlers.onNobody?.(message.subject)
        else {
          const whole = assemble(assembler, message)
          if (whole !== undefined) handlers.onMessage(whole)
        }
      },
    })
    return { end: () => subscription.unsubscribe() }
  }

  bucket(name: string, ttlMillis: number): Bucket {
    const client = jetstream(this.#connection)
    return new NatsBucket(client, name, ttlMillis, this.#replicas, this.events)
  }

  blobs(name: string): Blobs {
    return new NatsBlobs(jetstream(this.#connection), name, this.#replicas)
  }

  async close(): Promise<void> {
    // what was published is to arrive, unless the connection has just been lost
    if (this.#isConnected)
      await within(
        FLUSH_MILLIS,
        this.#connection.drain().catch(() => {}),
      )
    await this.#connection.close()
  }

  /** How many servers are to have what is kept; fewer where there are not so many. */
  get #replicas(): readonly number[] {
    return this.#connection.info?.cluster === undefined ? [1] : [3, 1]
  }

  get #maxPayload(): number {
    const { info } = this.#connection
    return Math.max((info?.max_payload ?? 1 << 20) - HEADERS, HEADERS)
  }

  async #follow(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect' && this.#isConnected) {
        this.#isConnected = false
        this.events.emit('lost')
      } else if (status.type === 'reconnect' && !this.#isConnected) {
        this.#isConnected = true
        this.events.emit('restored')
      } else if (status.type === 'error') this.events.emit('failed', status.error)
    }
    this.#isConnected = false
  }
}

/** Undefined while there are parts to come. */
function assemble(assembler: Assembler, { subject, data, headers }: Msg): Message | undefined {
  if (headers === undefined || !headers.has(PART)) return { subject, payload: data }
  const part = parsePart(headers.get(PART))
  const payload = part && assembler.add(part, data)
  return payload && { subject, payload }
}
