import { Type } from '@fastify/type-provider-typebox'
import type { RouteContext } from '../context.js'
import { ApiError } from '../errors.js'
import { templateTools } from '../generation/conversation.js'
import type { ServedModel } from '../models/served-model.js'
import { RequestScope } from '../request-scope.js'
import { MessagesSchema, type ToolBody, ToolsSchema } from '../schemas/chat.js'
import {
  errorResponses,
  jsonObject,
  modelField,
  optional,
  strict,
  tokenIds,
} from '../schemas/common.js'
import type { App } from './app.js'

const templateFields = {
  add_generation_prompt: optional(Type.Boolean()),
  tools: optional(ToolsSchema),
  chat_template_kwargs: optional(jsonObject),
}

const TokenizeBody = strict({
  model: modelField,
  prompt: optional(Type.String({ description: 'as vLLM names it' })),
  content: optional(Type.String({ description: 'as llama-server names it' })),
  messages: optional(MessagesSchema),
  add_special_tokens: optional(Type.Boolean({ description: 'true by default, of a text' })),
  ...templateFields,
})
const TokensSchema = strict({
  tokens: tokenIds,
  count: Type.Integer(),
  max_model_len: Type.Integer(),
})

const DetokenizeBody = strict({ model: modelField, tokens: tokenIds })
const TextSchema = strict({ prompt: Type.String(), content: Type.String() })

const TemplateBody = strict({ model: modelField, messages: MessagesSchema, ...templateFields })
const PromptSchema = strict({ prompt: Type.String() })

/** POST /tokenize, /detokenize and /apply-template: both vLLM's and llama-server's fields. */
export function addTokenRoutes(app: App, { service, settings }: RouteContext): void {
  const tokenize = {
    summary: 'The tokens of a text, or of a conversation',
    body: TokenizeBody,
    response: { 200: TokensSchema, ...errorResponses },
  }
  app.post('/tokenize', { schema: tokenize }, async ({ body }, reply) => {
    const name = service.nameOf(body.model)
    const { prompt, content, messages, add_special_tokens } = body
    const texts = [prompt, content, messages].filter((text) => text != null)
    if (texts.length !== 1) {
      throw new ApiError(400, 'the body must have one of prompt, content and messages')
    }
    using scope = new RequestScope(service, reply, settings.requestTimeoutMillis)
    const model = await scope.use(name)
    const { signal } = scope
    const [given] = texts
    const text = typeof given === 'string' ? given : await render(model, given, body, signal)
    const addSpecialTokens = typeof given === 'string' && (add_special_tokens ?? true)
    const tokens = [...(await model.tokenizer.encodeAsync(text, { addSpecialTokens, signal }))]
    return { tokens, count: tokens.length, max_model_len: model.maxContext }
  })

  const detokenize = {
    summary: 'The text of tokens',
    body: DetokenizeBody,
    response: { 200: TextSchema, ...errorResponses },
  }
  app.post('/detokenize', { schema: detokenize }, async ({ body }, reply) => {
    const name = service.nameOf(body.model)
    using scope = new RequestScope(service, reply, settings.requestTimeoutMillis)
    const text = (await scope.use(name)).tokenizer.decode(body.tokens)
    return { prompt: text, content: text }
  })

  const applyTemplate = {
    summary: "The text of a conversation, by the model's chat template",
    body: TemplateBody,
    response: { 200: PromptSchema, ...errorResponses },
  }
  app.post('/apply-template', { schema: applyTemplate }, async ({ body }, reply) => {
    const name = service.nameOf(body.model)
    using scope = new RequestScope(service, reply, settings.requestTimeoutMillis)
    const model = await scope.use(name)
    return { prompt: await render(model, body.messages, body, scope.signal) }
  })
}

interface TemplateFields {
  add_generation_prompt?: boolean | null
  tools?: ToolBody[] | null
  chat_template_kwargs?: Record<string, unknown> | null
}

function render(
  model: ServedModel,
  messages: Parameters<ServedModel['chatTemplate']['render']>[0],
  fields: TemplateFields,
  signal: AbortSignal,
): Promise<string> {
  const options = {
    addGenerationPrompt: fields.add_generation_prompt ?? true,
    tools: fields.tools?.length ? templateTools(fields.tools) : undefined,
    templateOptions: fields.chat_template_kwargs ?? undefined,
  }
  return model.chatTemplate.renderAsync(messages, options, signal)
}
