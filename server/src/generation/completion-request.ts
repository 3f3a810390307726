import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteContext } from '../context.js'
import { type ApiError, refuse } from '../errors.js'
import { explain, type FormatPart } from '../format/format-part.js'
import type { ServedModel, ServedOptions } from '../models/served-model.js'
import { ClientGoneError } from '../request-scope.js'
import type { GenerationBody, UsageBody } from '../schemas/common.js'
import { sendEvents, type Terminator } from '../sse.js'
import type { ChoicePart } from './choices.js'
import { toGenerateOptions } from './options.js'
import type { Operation } from './request-span.js'
import { RequestWork } from './request-work.js'
import { resultsOf, toUsage } from './usage.js'

/** Writes the answer of one kind of completion. */
export interface AnswerWriter<Chunk extends object, Answer extends object> {
  /** What a part of a choice adds to a stream. */
  chunks(part: ChoicePart): Chunk[]
  /** What a stream ends with. */
  end(usage: UsageBody): Chunk[]
  /** What a stream ends with that has failed. */
  fail(error: ApiError): object[]
  readonly terminator: Terminator
  /** The whole answer. */
  answer(parts: readonly ChoicePart[], usage: UsageBody): Answer
}

/** What is particular to a kind of completion. */
export interface Prepared<Chunk extends object, Answer extends object> {
  readonly prompts: readonly ArrayLike<number>[]
  readonly options: ServedOptions
  /** What answers are to look like. */
  readonly format?: FormatPart | undefined
  readonly writer: AnswerWriter<Chunk, Answer>
}

/** Makes tokens of the prompts of a request. */
export type Prepare<Chunk extends object, Answer extends object> = (
  name: string,
  model: ServedModel,
  signal: AbortSignal,
) => Promise<Prepared<Chunk, Answer>>

/** A completion that is asked for. */
export interface Completing<Chunk extends object, Answer extends object> {
  readonly operation: Operation
  readonly body: GenerationBody
  readonly prepare: Prepare<Chunk, Answer>
}

/** Runs a completion: generates all its choices, and answers at once or by a stream. */
export async function complete<Chunk extends object, Answer extends object>(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { operation, body, prepare }: Completing<Chunk, Answer>,
): Promise<Answer | FastifyReply> {
  const { stream, stream_options: streamOptions, n } = body
  if (!stream && streamOptions != null) {
    throw refuse('stream_options', 'only allowed with `stream: true`')
  }
  const { settings } = context
  const work = new RequestWork(context, request, reply, operation, body)
  const { name, signal } = work
  try {
    const model = await work.model()
    const { prompts, options, format, writer } = await prepare(name, model, signal)
    const responseFormat = format?.format
    const choices = n ?? 1
    if (prompts.length * choices > settings.maxChoices) {
      throw refuse('n', `at most ${settings.maxChoices} choices, over all prompts`)
    }
    const runs = prompts.flatMap((prompt, p) =>
      Array.from({ length: choices }, (_, i) => {
        const sampled = toGenerateOptions(body, p * choices + i)
        const more = { ...options, responseFormat, signal, group: work }
        return model.generate(prompt, { ...sampled, ...more }, work.origin)
      }),
    )
    const parts = explained(work.record.watch(runs, choices), format)
    if (stream) {
      const chunks = streamed(parts, writer, choices, work)
      return await sendEvents(reply, chunks, writer, settings.pingMillis)
    }
    const all: ChoicePart[] = []
    for await (const part of parts) all.push(part)
    work.finish()
    return writer.answer(all, toUsage(resultsOf(all), choices))
  } catch (error) {
    return work.fail(error)
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

/** @param choices for each prompt */
async function* streamed<Chunk extends object>(
  parts: AsyncGenerator<ChoicePart, void, void>,
  writer: AnswerWriter<Chunk, object>,
  choices: number,
  work: RequestWork,
): AsyncGenerator<Chunk, void, void> {
  const ends: ChoicePart[] = []
  let outcome: unknown
  let hasEnded = false
  try {
    for await (const part of parts) {
      if (part.result !== undefined) ends.push(part)
      yield* writer.chunks(part)
    }
    yield* writer.end(toUsage(resultsOf(ends), choices))
    hasEnded = true
  } catch (error) {
    outcome = error
    hasEnded = true
    throw error
  } finally {
    // where the reader leaves, nothing is thrown
    work.finish(hasEnded ? outcome : new ClientGoneError())
  }
}
