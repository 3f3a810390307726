import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { type ErrorBody, toApiError } from './errors.js'
import { ClientGoneError } from './request-scope.js'
import { within } from './within.js'

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no', // nginx would gather tokens
}

/** Bytes that wait in the stream for a slow reader, beside those in the socket. */
const HIGH_WATER_MARK = 1024

const PING = ': ping\n\n'

/**
 * Answers with server-sent events, one for each item, then `[DONE]`. Comments keep idle proxies from closing the
 * connection. The next item is only asked for when the reader has room for it.
 *
 * The answer begins with the first item, or the first comment: an error that comes before has a status of its own. One
 * that comes later is the last event.
 */
export async function sendEvents(
  reply: FastifyReply,
  items: AsyncGenerator<object, void, void>,
  pingMillis: number,
): Promise<FastifyReply> {
  const first = items.next()
  const begins = await within(pingMillis, first)
  const events = new EventStream(items, first, pingMillis)
  if (begins === undefined) events.push(PING)
  return reply.headers(headers).send(events)
}

/** One timer and one loop for each stream, not for each item: items of many streams come at once, after each step. */
class EventStream extends Readable {
  readonly #items: AsyncGenerator<object, void, void>
  #first: Promise<IteratorResult<object, void>> | undefined
  readonly #pings: NodeJS.Timeout
  #isWaiting = false

  /** @param first item, which was asked for already */
  constructor(
    items: AsyncGenerator<object, void, void>,
    first: Promise<IteratorResult<object, void>>,
    pingMillis: number,
  ) {
    super({ highWaterMark: HIGH_WATER_MARK })
    this.#items = items
    this.#first = first
    this.#pings = setTimeout(() => this.#ping(), pingMillis)
  }

  override _read(): void {
    if (!this.#isWaiting) void this.#write()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#pings)
    // what is wrong now, the reader cannot be told
    this.#items.return().catch(() => {})
    callback(error)
  }

  /** Writes events while there is room. */
  async #write(): Promise<void> {
    this.#isWaiting = true
    try {
      while (await this.#writeNext()) this.#pings.refresh()
    } catch (error) {
      if (this.destroyed) return
      if (!(error instanceof ClientGoneError)) this.push(toEvent(toApiError(error).body))
      this.push(null)
    }
    this.#isWaiting = false
  }

  /** Returns whether there is room for one more. */
  async #writeNext(): Promise<boolean> {
    const first = this.#first
    this.#first = undefined
    const { done, value } = await (first ?? this.#items.next())
    if (this.destroyed) return false
    if (!done) return this.push(toEvent(value))
    this.push('data: [DONE]\n\n')
    this.push(null)
    return false
  }

  /** A reader who has not taken what there is needs no comment. */
  #ping(): void {
    if (this.#isWaiting && this.readableLength === 0) this.push(PING)
    this.#pings.refresh()
  }
}

function toEvent(item: object | ErrorBody): string {
  return `data: ${JSON.stringify(item)}\n\n`
}
