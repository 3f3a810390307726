import { randomUUID } from 'node:crypto'
import type { RouteContext } from '../context.js'
import { refuse } from '../errors.js'
import { requestedFormat } from '../format/requested-format.js'
import { ChatWriter } from '../generation/chat-writer.js'
import { complete, type Prepare } from '../generation/completion-request.js'
import { prepareConversation } from '../generation/conversation.js'
import { nowSeconds } from '../ids.js'
import {
  type ChatBody,
  ChatBodySchema,
  type ChatChunk,
  ChatChunkSchema,
  type ChatCompletion,
  ChatCompletionSchema,
} from '../schemas/chat.js'
import { errorResponses, jsonOrEvents, orError } from '../schemas/common.js'
import type { App } from './app.js'

/** POST /v1/chat/completions */
export function addChatRoute(app: App, context: RouteContext): void {
  const schema = {
    summary: "Answers a conversation, written by the model's chat template",
    body: ChatBodySchema,
    response: {
      200: jsonOrEvents(ChatCompletionSchema, orError(ChatChunkSchema)),
      ...errorResponses,
    },
  }
  app.post('/v1/chat/completions', { schema }, async (request, reply) => {
    const { body } = request
    return await complete(context, request, reply, {
      operation: 'chat',
      body,
      prepare: prepareChat(body),
    })
  })
}

function prepareChat(body: ChatBody): Prepare<ChatChunk, ChatCompletion> {
  const maxTokens = readMaxTokens(body)
  const logprobs = readLogprobs(body)
  return async (name, model, signal) => {
    const { tool_choice: choice } = body
    const input = {
      field: 'messages',
      messages: body.messages,
      calls: {
        tools: body.tools,
        choice: typeof choice === 'object' ? choice?.function : choice,
        areParallel: body.parallel_tool_calls,
        parametersField: (i: number) => `tools[${i}].function.parameters`,
      },
      content: requestedFormat(body),
      templateOptions: body.chat_template_kwargs ?? undefined,
    }
    const conversation = await prepareConversation(name, model, input, signal)
    const { tokens, format, makeReader } = conversation
    const writer = new ChatWriter({
      id: `chatcmpl-${randomUUID()}`,
      created: nowSeconds(),
      model: name,
      tokenizer: model.tokenizer,
      makeReader,
      logprobs: logprobs !== undefined,
      includeUsage: body.stream_options?.include_usage ?? false,
    })
    const options = { maxTokens: maxTokens ?? model.maxContext, logprobs }
    return { prompts: [tokens], options, format, writer }
  }
}

function readMaxTokens(body: ChatBody): number | undefined {
  const { max_tokens: old, max_completion_tokens: most } = body
  if (old != null && most != null && old !== most) {
    throw refuse('max_tokens', 'differs from `max_completion_tokens`, which has replaced it')
  }
  return most ?? old ?? undefined
}

function readLogprobs({ logprobs, top_logprobs: top }: ChatBody): number | undefined {
  if (logprobs) return top ?? 0
  if (top != null && top > 0) throw refuse('top_logprobs', 'only allowed with `logprobs: true`')
  return undefined
}
