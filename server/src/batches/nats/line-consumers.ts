import {
  AckPolicy,
  type Consumer,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { type Places, toWord } from './places.js'
import type { Restored } from './restored.js'

/** Who runs a line says so again within this time, or another is given it. */
const ACK_MILLIS = 10_000
/** Lines of one model that a fleet runs at once, and workers that wait for one: each asks for what it has room for only. */
const MOST_RUNNING = 65_536

/** What delivers the lines of the work queue: a consumer for each model. */
export class LineConsumers {
  readonly #client: JetStreamClient
  readonly #manager: JetStreamManager
  readonly #places: Places
  readonly #made = new Map<string, Promise<Consumer>>()

  constructor(
    client: JetStreamClient,
    manager: JetStreamManager,
    places: Places,
    restored: Restored,
  ) {
    this.#client = client
    this.#manager = manager
    this.#places = places
    // a server that was down may have lost its place
    restored.on(() => this.#made.clear())
  }

  /** That of a model, which is made where there is none. */
  of(model: string): Promise<Consumer> {
    const found = this.#made.get(model)
    if (found !== undefined) return found
    const made = this.#make(toWord(model))
    this.#made.set(model, made)
    made.catch(() => this.forget(model))
    return made
  }

  /** Has that of a model looked after before its next use: it has failed, or has had no line for a while. */
  forget(model: string): void {
    this.#made.delete(model)
  }

  async #make(word: string): Promise<Consumer> {
    const { lines } = this.#places
    await this.#add(word)
    if (await this.#isLost(word)) {
      // another begins with all lines that there are; whoever runs one of them still acknowledges it by its name
      await this.#manager.consumers.delete(lines, word)
      await this.#add(word)
    }
    return await this.#client.consumers.get(lines, word)
  }

  async #add(word: string): Promise<void> {
    await this.#manager.consumers.add(this.#places.lines, {
      durable_name: word,
      filter_subject: this.#places.line(word, '*', '*'),
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_MILLIS),
      max_ack_pending: MOST_RUNNING,
      max_waiting: MOST_RUNNING,
    })
  }

  /**
   * Whether it takes lines for delivered that it has never seen. A server of NATS 2.9 that is killed after a purge has
   * emptied the stream counts its messages from 1 again, and its consumers wait for those that follow what they had.
   */
  async #isLost(word: string): Promise<boolean> {
    const { lines } = this.#places
    // the consumer first: what it has had by then, so has the stream
    const { delivered, ack_floor } = await this.#manager.consumers.info(lines, word)
    const { state } = await this.#manager.streams.info(lines)
    if (delivered.stream_seq > state.last_seq) return true
    const query = { seq: 1, next_by_subj: this.#places.line(word, '*', '*') }
    const first = await this.#manager.streams.getMessage(lines, query)
    return first !== null && first.seq <= ack_floor.stream_seq
  }
}
