import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { type ApiError, toApiError } from './errors.js'
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

/** What follows the last item, in protocols whose items do not tell the end themselves. */
export type Terminator = '[DONE]' | undefined

/** How a stream ends. */
export interface StreamEnd {
  /** The last items of a stream that fails. */
  fail(error: ApiError): object[]
  readonly terminator: Terminator
}

/**
 * Answers with server-sent events, one for each item, by the name of its `type` if it has one; then the terminator.
 * Comments keep idle proxies from closing the connection. The next item is only asked for when the reader has room for it.
 *
 * The answer begins with the first item, or the first comment: an error that comes before has a status of its own. One
 * that comes later is told by the last events.
 */
export async function sendEvents(
  reply: FastifyReply,
  items: AsyncGenerator<object, void, void>,
  end: StreamEnd,
  pingMillis: number,
): Promise<FastifyReply> {
  const first = items.next()
  const begins = await within(pingMillis, first)
  const events = new EventStream(items, first, end, pingMillis)
  if (begins === undefined) events.push(PING)
  return reply.headers(headers).send(events)
}

/** One timer and one loop for each stream, not for each item: items of many streams come at once, after each step. */
class EventStream extends Readable {
  readonly #items: AsyncGenerator<object, void, void>
  #first: Promise<IteratorResult<object, void>> | undefined
  readonly #end: StreamEnd
  readonly #pings: NodeJS.Timeout
  #isWaiting = false

  /** @param first item, which was asked for already */
  constructor(
    items: AsyncGenerator<object, void, void>,
    first: Promise<IteratorResult<object, void>>,
    end: StreamEnd,
    pingMillis: number,
  ) {
    super({ highWaterMark: HIGH_WATER_MARK })
    this.#items = items
    this.#first = first
    this.#end = end
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
      if (!(error instanceof ClientGoneError)) {
        for (const item of this.#end.fail(toApiError(error))) this.push(toEvent(item))
      }
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
    const { terminator } = this.#end
    if (terminator !== undefined) this.push(`data: ${terminator}\n\n`)
    this.push(null)
    return false
  }

  /** A reader who has not taken what there is needs no comment. */
  #ping(): void {
    if (this.#isWaiting && this.readableLength === 0) this.push(PING)
    this.#pings.refresh()
  }
}

function toEvent(item: object): string {
  const name = 'type' in item ? `event: ${item.type}\n` : ''
  return `${name}data: ${JSON.stringify(item)}\n\n`
}
