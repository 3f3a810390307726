import { DeliverPolicy, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream'
import { isSuccess, type LineResult } from '../result.js'
import type { LineOutcome, ResultStore } from '../store.js'
import type { LargeValues } from './large-values.js'
import { isOutdated } from './nats-batches.js'
import type { Places } from './places.js'
import type { Restored } from './restored.js'

/** Whether a result is a success: its message tells without its content. */
const SUCCESS = 'Dotpool-Success'

/** Results in a stream of JetStream, a subject for each line: the first that is published there holds. */
export class NatsResults implements ResultStore {
  readonly #client: JetStreamClient
  readonly #manager: JetStreamManager
  readonly #values: LargeValues
  readonly #places: Places
  readonly #restored: Restored

  constructor(
    client: JetStreamClient,
    manager: JetStreamManager,
    values: LargeValues,
    places: Places,
    restored: Restored,
  ) {
    this.#client = client
    this.#manager = manager
    this.#values = values
    this.#places = places
    this.#restored = restored
  }

  /** Keeps a result, unless there is one of this line. */
  async put(batchId: string, line: number, result: LineResult): Promise<void> {
    const { data, headers } = await this.#values.pack(batchId, result)
    headers.set(SUCCESS, String(isSuccess(result)))
    const expect = { lastSubjectSequence: 0 }
    try {
      await this.#client.publish(this.#places.result(batchId, line), data, { headers, expect })
    } catch (error) {
      if (!isOutdated(error)) throw error
    }
  }

  async has(batchId: string, line: number): Promise<boolean> {
    return (await this.#find(batchId, line)) !== null
  }

  async get(batchId: string, line: number): Promise<LineResult | undefined> {
    const message = await this.#find(batchId, line)
    if (message === null) return undefined
    return await this.#values.unpack({ data: message.data, headers: message.header })
  }

  async *watch(batchId: string, signal: AbortSignal): AsyncGenerator<LineOutcome, void, void> {
    const consumer = await this.#client.consumers.get(this.#places.results, {
      filter_subjects: this.#places.result(batchId, '*'),
      deliver_policy: DeliverPolicy.All,
      headers_only: true,
    })
    const messages = await consumer.consume()
    const stop = () => messages.stop()
    const end = this.#restored.on(stop)
    signal.addEventListener('abort', stop)
    try {
      for await (const { subject, headers } of messages) {
        const line = Number(subject.slice(subject.lastIndexOf('.') + 1))
        yield { line, isSuccess: headers?.get(SUCCESS) === 'true' }
      }
    } finally {
      end()
      signal.removeEventListener('abort', stop)
      stop()
    }
    signal.throwIfAborted()
    throw new Error('the connection to NATS was lost, and with it the place in the results')
  }

  async delete(batchId: string): Promise<void> {
    const filter = this.#places.result(batchId, '*')
    await this.#manager.streams.purge(this.#places.results, { filter })
    await this.#values.delete(batchId)
  }

  async #find(batchId: string, line: number) {
    const last_by_subj = this.#places.result(batchId, line)
    return await this.#manager.direct.getMessage(this.#places.results, { last_by_subj })
  }
}
