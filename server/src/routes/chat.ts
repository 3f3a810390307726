import { randomUUID } from 'node:crypto'
import type { RouteContext } from '../context.js'
import { refuse } from '../errors.js'
import { behindThinking } from '../format/behind-thinking.js'
import { callsFormat } from '../format/calls-format.js'
import { requestedFormat } from '../format/requested-format.js'
import { ChatChoice } from '../generation/chat-choice.js'
import { ChatWriter } from '../generation/chat-writer.js'
import { complete, type Prepare } from '../generation/completion-request.js'
import { encodeMessages, templateTools } from '../generation/prompts.js'
import {
  type ChatBody,
  ChatBodySchema,
  type ChatChunk,
  ChatChunkSchema,
  type ChatCompletion,
  ChatCompletionSchema,
} from '../schemas/chat.js'
import { errorResponses, jsonOrEvents } from '../schemas/common.js'
import { callSyntaxOf } from '../text/call-syntax.js'
import type { App } from './app.js'

/** POST /v1/chat/completions */
export function addChatRoute(app: App, context: RouteContext): void {
  const schema = {
    summary: "Answers a conversation, written by the model's chat template",
    body: ChatBodySchema,
    response: { 200: jsonOrEvents(ChatCompletionSchema, ChatChunkSchema), ...errorResponses },
  }
  app.post('/v1/chat/completions', { schema }, async (request, reply) => {
    const { body } = request
    return await complete(context, request, reply, body, prepareChat(body))
  })
}

function prepareChat(body: ChatBody): Prepare<ChatChunk, ChatCompletion> {
  const maxTokens = readMaxTokens(body)
  const logprobs = readLogprobs(body)
  return async (name, model, signal) => {
    const tools = body.tool_choice === 'none' || !body.tools?.length ? undefined : body.tools
    const syntax = tools && (await callSyntaxOf(model))
    if (tools !== undefined && syntax === undefined) {
      throw refuse('tools', `the chat template of ${name} writes no calls that are understood`)
    }
    const content = callsFormat(body, syntax, requestedFormat(body))
    const templateOptions = body.chat_template_kwargs ?? undefined
    const inputs = { tools: tools && templateTools(tools), templateOptions }
    const { text, tokens } = await encodeMessages(model, body.messages, inputs, signal)
    const thinks = /<think>\s*$/.test(text)
    const writer = new ChatWriter({
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: name,
      tokenizer: model.tokenizer,
      makeChoice: () => new ChatChoice(thinks, syntax?.makeParser()),
      logprobs: logprobs !== undefined,
      includeUsage: body.stream_options?.include_usage ?? false,
    })
    const options = { maxTokens: maxTokens ?? model.maxContext, logprobs }
    const format = content && (await behindThinking(content, text, model))
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
