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
  const events = withPings(items, pingMillis)
  const first = await events.next()
  async function* write() {
    try {
      if (!first.done) yield first.value
      yield* events
      if (end.terminator !== undefined) yield `data: ${end.terminator}\n\n`
    } catch (error) {
      if (error instanceof ClientGoneError) return
      for (const item of end.fail(toApiError(error))) yield toEvent(item)
    }
  }
  const options = { objectMode: false, highWaterMark: HIGH_WATER_MARK }
  return reply.headers(headers).send(Readable.from(write(), options))
}

async function* withPings(
  items: AsyncGenerator<object, void, void>,
  pingMillis: number,
): AsyncGenerator<string, void, void> {
  try {
    for (;;) {
      const next = items.next()
      for (;;) {
        const item = await within(pingMillis, next)
        if (item === undefined) yield ': ping\n\n'
        else if (item.done) return
        else {
          yield toEvent(item.value)
          break
        }
      }
    }
  } finally {
    await items.return()
  }
}

function toEvent(item: object): string {
  const name = 'type' in item ? `event: ${item.type}\n` : ''
  return `${name}data: ${JSON.stringify(item)}\n\n`
}
