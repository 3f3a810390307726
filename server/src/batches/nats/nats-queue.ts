import { setMaxListeners } from 'node:events'
import type { JetStreamClient, JetStreamManager, JsMsg } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import type { NatsConnection, Subscription } from '@nats-io/transport-node'
import type { Batch } from '../../schemas/batches.js'
import { unlessAborted } from '../../within.js'
import type { BatchLine } from '../line.js'
import type { LineResult } from '../result.js'
import type { BatchTable, LineQueue, LineTask } from '../store.js'
import type { LargeValues } from './large-values.js'
import type { LineConsumers } from './line-consumers.js'
import type { NatsResults } from './nats-results.js'
import { type Places, toWord } from './places.js'

/** How often who runs a line says that it does. */
const WORKING_MILLIS = 3000
/** How long a worker waits for a line before it asks again. */
const PULL_MILLIS = 10_000
/** Lines that are published without an answer yet. */
const MOST_UNANSWERED = 256
/** After so many lines it is kept how far a batch is queued. */
const LINES_KEPT = 2048

export interface NatsQueueParts {
  readonly connection: NatsConnection
  readonly client: JetStreamClient
  readonly manager: JetStreamManager
  readonly places: Places
  readonly values: LargeValues
  readonly consumers: LineConsumers
  readonly batches: BatchTable
  /** For how far a batch is queued. */
  readonly bucket: KV
  readonly results: NatsResults
}

/**
 * Lines in a work queue of JetStream, a message for each. A message that is acknowledged is gone, which is after its
 * result is kept: what comes twice finds it there.
 */
export class NatsQueue implements LineQueue {
  readonly #parts: NatsQueueParts
  /** Of batches that lines run of here. */
  readonly #withdrawn = new Map<string, AbortController>()
  readonly #subscription: Subscription

  constructor(parts: NatsQueueParts) {
    this.#parts = parts
    this.#subscription = parts.connection.subscribe(parts.places.withdrawn('*'), {
      callback: (_, { subject }) => {
        const batchId = subject.slice(subject.lastIndexOf('.') + 1)
        this.#withdrawn.get(batchId)?.abort()
        this.#withdrawn.delete(batchId)
      },
    })
  }

  async add({ id }: Batch, lines: AsyncIterable<BatchLine>): Promise<void> {
    const { bucket } = this.#parts
    const key = `queued.${id}`
    const queued = Number((await bucket.get(key))?.string() || 0)
    const unanswered = new Set<Promise<void>>()
    let failure: unknown
    let last = queued
    let sinceKept = 0
    const keep = async () => {
      await Promise.all(unanswered)
      if (failure !== undefined) throw failure
      await bucket.put(key, String(last))
      sinceKept = 0
    }
    for await (const line of lines) {
      if (line.number <= queued) continue
      const published = this.#publish(id, line)
        .catch((error) => {
          failure ??= error
        })
        .finally(() => unanswered.delete(published))
      unanswered.add(published)
      last = line.number
      if (++sinceKept === LINES_KEPT) await keep()
      else if (unanswered.size >= MOST_UNANSWERED) await Promise.race(unanswered)
      if (failure !== undefined) throw failure
    }
    await keep()
  }

  async take(model: string, signal: AbortSignal): Promise<LineTask> {
    for (;;) {
      const message = await this.#pull(model, signal)
      const task = message && (await this.#toTask(message))
      if (task !== undefined) return task
    }
  }

  async withdraw(batchId: string): Promise<void> {
    const { connection, manager, places, bucket } = this.#parts
    await manager.streams.purge(places.lines, { filter: places.line('*', batchId, '*') })
    connection.publish(places.withdrawn(batchId))
    await bucket.delete(`queued.${batchId}`)
  }

  /** Takes no more lines. */
  end(): void {
    this.#subscription.unsubscribe()
  }

  async #publish(batchId: string, line: BatchLine): Promise<void> {
    const { client, places, values } = this.#parts
    const subject = places.line(toWord(line.model), batchId, line.number)
    const { data, headers } = await values.pack(batchId, line)
    await client.publish(subject, data, { headers, msgID: `${batchId}.${line.number}` })
  }

  /** Undefined where there was none for a while. */
  async #pull(model: string, signal: AbortSignal): Promise<JsMsg | undefined> {
    const { consumers } = this.#parts
    signal.throwIfAborted()
    let message: JsMsg | null = null
    try {
      const consumer = await consumers.of(model)
      const pulled = consumer.next({ expires: PULL_MILLIS })
      // one that comes when nobody waits for it is for another
      pulled.then((late) => signal.aborted && late?.nak()).catch(() => {})
      message = await unlessAborted(signal, pulled)
      return message ?? undefined
    } finally {
      if (message === null) consumers.forget(model)
    }
  }

  /** Undefined of a line that is not to be run any more. */
  async #toTask(message: JsMsg): Promise<LineTask | undefined> {
    const { batches, results, values } = this.#parts
    const working = setInterval(() => message.working(), WORKING_MILLIS)
    try {
      const batchId = message.subject.split('.').at(-2) ?? ''
      const number = Number(message.subject.split('.').at(-1))
      const batch = await batches.get(batchId)
      const hasResult = message.redelivered && (await results.has(batchId, number))
      if (batch?.status !== 'in_progress' || hasResult) {
        clearInterval(working)
        message.ack()
        return undefined
      }
      const line = await values.unpack<BatchLine>(message)
      return this.#task(message, batchId, line, working)
    } catch (error) {
      clearInterval(working)
      message.nak()
      throw error
    }
  }

  #task(message: JsMsg, batchId: string, line: BatchLine, working: NodeJS.Timeout): LineTask {
    const withdrawn = this.#withdrawn.get(batchId) ?? new AbortController()
    // each line that runs listens
    setMaxListeners(0, withdrawn.signal)
    this.#withdrawn.set(batchId, withdrawn)
    const { signal } = withdrawn
    return {
      batchId,
      line,
      signal,
      finish: async (result: LineResult) => {
        if (!signal.aborted) await this.#parts.results.put(batchId, line.number, result)
        clearInterval(working)
        message.ack()
      },
      release: async () => {
        clearInterval(working)
        message.nak()
      },
    }
  }
}
