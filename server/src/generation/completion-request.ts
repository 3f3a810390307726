import type { GenerateOptions, Model } from 'dotpool'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteContext } from '../context.js'
import { refuse } from '../errors.js'
import { explain, type FormatPart } from '../format/format-part.js'
import { ClientGoneError, RequestScope } from '../request-scope.js'
import type { GenerationBody, UsageBody } from '../schemas/common.js'
import { sendEvents } from '../sse.js'
import { type ChoicePart, readChoices } from './choices.js'
import { toGenerateOptions } from './options.js'
import { RequestRecord } from './request-record.js'
import { resultsOf, toUsage } from './usage.js'

/** Writes the answer of one kind of completion. */
export interface AnswerWriter<Chunk extends object, Answer extends object> {
  /** What a part of a choice adds to a stream. */
  chunks(part: ChoicePart): Chunk[]
  /** The stream's last chunk, where the usage is asked for. */
  usage(usage: UsageBody): Chunk
  /** The whole answer. */
  answer(parts: readonly ChoicePart[], usage: UsageBody): Answer
}

/** What is particular to a kind of completion. */
export interface Prepared<Chunk extends object, Answer extends object> {
  readonly prompts: readonly ArrayLike<number>[]
  readonly options: GenerateOptions
  /** What answers are to look like. */
  readonly format?: FormatPart | undefined
  readonly writer: AnswerWriter<Chunk, Answer>
}

/** Makes tokens of the prompts of a request. */
export type Prepare<Chunk extends object, Answer extends object> = (
  name: string,
  model: Model,
  signal: AbortSignal,
) => Promise<Prepared<Chunk, Answer>>

/** Runs a completion: generates all its choices, and answers at once or by a stream. */
export async function complete<Chunk extends object, Answer extends object>(
  { service, settings, metrics }: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
  body: GenerationBody,
  prepare: Prepare<Chunk, Answer>,
): Promise<Answer | FastifyReply> {
  const { stream, stream_options: streamOptions, n } = body
  if (!stream && streamOptions != null) {
    throw refuse('stream_options', 'only allowed with `stream: true`')
  }
  const { name, model } = service.model(body.model)
  const scope = new RequestScope(service, reply, settings.requestTimeoutMillis)
  const record = new RequestRecord(request.log, metrics, name)
  const finish = (error?: unknown) => {
    record.end(error)
    scope[Symbol.dispose]()
  }
  try {
    const { prompts, options, format, writer } = await prepare(name, model, scope.signal)
    const { signal } = scope
    const responseFormat = format?.format
    const choices = n ?? 1
    if (prompts.length * choices > settings.maxChoices) {
      throw refuse('n', `at most ${settings.maxChoices} choices, over all prompts`)
    }
    const runs = prompts.flatMap((prompt, p) =>
      Array.from({ length: choices }, (_, i) => {
        const sampled = toGenerateOptions(body, p * choices + i)
        return model.generate(prompt, { ...sampled, ...options, responseFormat, signal })
      }),
    )
    const parts = record.watch(explained(readChoices(runs), format), choices)
    if (stream) {
      const usageOf = streamOptions?.include_usage ? choices : undefined
      const chunks = streamed(parts, writer, usageOf, finish)
      return await sendEvents(reply, chunks, settings.pingMillis)
    }
    const all: ChoicePart[] = []
    for await (const part of parts) all.push(part)
    finish()
    return writer.answer(all, toUsage(resultsOf(all), choices))
  } catch (error) {
    finish(error)
    if (error instanceof ClientGoneError) return reply.hijack()
    throw metrics.withRetryAfter(error, name)
  }
}

/** Parts, with errors of a format told by the fields that it comes from. */
async function* explained(
  parts: AsyncGenerator<ChoicePart, void, void>,
  format: FormatPart | undefined,
): AsyncGenerator<ChoicePart, void, void> {
  try {
    yield* parts
  } catch (error) {
    throw format === undefined ? error : explain(format, error)
  }
}

/** @param choices for each prompt, where the usage is asked for; @param finish called once it has ended */
async function* streamed<Chunk extends object>(
  parts: AsyncGenerator<ChoicePart, void, void>,
  writer: AnswerWriter<Chunk, object>,
  choices: number | undefined,
  finish: (error?: unknown) => void,
): AsyncGenerator<Chunk, void, void> {
  const ends: ChoicePart[] = []
  // where the reader leaves, nothing is thrown
  let outcome: unknown = new ClientGoneError()
  try {
    for await (const part of parts) {
      if (part.result !== undefined) ends.push(part)
      yield* writer.chunks(part)
    }
    if (choices !== undefined) yield writer.usage(toUsage(resultsOf(ends), choices))
    outcome = undefined
  } catch (error) {
    outcome = error
    throw error
  } finally {
    finish(outcome)
  }
}
