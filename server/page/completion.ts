import { EventSourceParserStream } from 'eventsource-parser/stream'
import { type Server, ServerError, toServerError } from './server.js'

/** What an event of a stream adds to an answer. */
export interface CompletionPart {
  readonly text: string
  readonly reasoning: string
  readonly finishReason: string | undefined
  /** How many tokens the answer has: at its end. */
  readonly tokens: number | undefined
}

interface Chunk {
  readonly error?: unknown
  readonly choices?: readonly {
    readonly text?: string
    readonly delta?: { readonly content?: string; readonly reasoning_content?: string }
    readonly finish_reason: string | null
  }[]
  readonly usage?: { readonly completion_tokens: number } | null
}

/**
 * Streams an answer. To abort it has the server free what it holds for it.
 *
 * @throws ServerError, also where the stream breaks off
 */
export async function* streamCompletion(
  server: Server,
  path: string,
  body: object,
  signal: AbortSignal,
): AsyncGenerator<CompletionPart, void, void> {
  const streamed = { ...body, stream: true, stream_options: { include_usage: true } }
  const { body: bytes } = await server.post(path, streamed, signal)
  if (bytes === null) return
  const events = bytes
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>)
    .pipeThrough(new EventSourceParserStream())
    .getReader()
  for (;;) {
    const event = await events.read().catch((error) => {
      if (signal.aborted) throw error
      return { done: true as const, value: undefined }
    })
    if (event.done) throw new ServerError('The connection to the server was lost.')
    if (event.value.data === '[DONE]') return
    yield toPart(JSON.parse(event.value.data))
  }
}

function toPart(chunk: Chunk): CompletionPart {
  if (chunk.error !== undefined) throw toServerError(chunk, 500)
  const choice = chunk.choices?.[0]
  return {
    text: choice?.delta?.content ?? choice?.text ?? '',
    reasoning: choice?.delta?.reasoning_content ?? '',
    finishReason: choice?.finish_reason ?? undefined,
    tokens: chunk.usage?.completion_tokens,
  }
}
