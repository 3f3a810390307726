import { randomUUID } from 'node:crypto'
import type { RouteContext } from '../context.js'
import { refuse } from '../errors.js'
import { requestedFormat } from '../format/requested-format.js'
import { complete, type Prepare } from '../generation/completion-request.js'
import { promptsOf, tokensOf } from '../generation/prompts.js'
import { TextWriter } from '../generation/text-writer.js'
import { nowSeconds } from '../ids.js'
import { errorResponses, jsonOrEvents, orError } from '../schemas/common.js'
import {
  type Completion,
  type CompletionBody,
  CompletionBodySchema,
  type CompletionChunk,
  CompletionChunkSchema,
  CompletionSchema,
} from '../schemas/completions.js'
import type { App } from './app.js'

/** As OpenAI's API has it. */
const DEFAULT_MAX_TOKENS = 16

/** POST /v1/completions */
export function addCompletionsRoute(app: App, context: RouteContext): void {
  const schema = {
    summary: 'Continues texts, or tokens',
    body: CompletionBodySchema,
    response: {
      200: jsonOrEvents(CompletionSchema, orError(CompletionChunkSchema)),
      ...errorResponses,
    },
  }
  app.post('/v1/completions', { schema }, async (request, reply) => {
    const { body } = request
    const prepare = prepareCompletion(body, context.settings.maxChoices)
    return await complete(context, request, reply, { operation: 'text_completion', body, prepare })
  })
}

function prepareCompletion(
  body: CompletionBody,
  maxChoices: number,
): Prepare<CompletionChunk, Completion> {
  return async (name, model, signal) => {
    const given = promptsOf(body.prompt)
    if (given.length > maxChoices) throw refuse('prompt', `at most ${maxChoices} of them`)
    const place = { field: 'prompt', room: 1 } as const
    const prompts = await Promise.all(given.map((one) => tokensOf(model, place, one, signal)))
    const logprobs = body.logprobs ?? undefined
    const writer = new TextWriter({
      id: `cmpl-${randomUUID()}`,
      created: nowSeconds(),
      model: name,
      tokenizer: model.tokenizer,
      logprobs: logprobs !== undefined,
      includeUsage: body.stream_options?.include_usage ?? false,
    })
    return {
      prompts,
      format: requestedFormat(body),
      options: { maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS, logprobs },
      writer,
    }
  }
}
