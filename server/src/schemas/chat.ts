import { type Static, Type } from '@fastify/type-provider-typebox'
import { generationFields, jsonObject, nullable, optional, strict, UsageSchema } from './common.js'

/** The library checks the rest of a message, of which templates may read any field. */
export const MessagesSchema = Type.Array(
  Type.Object({ role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool']) }),
  { minItems: 1 },
)

/** What describes a function. */
export const functionFields = {
  name: Type.String({ minLength: 1 }),
  description: optional(Type.String()),
  parameters: optional(jsonObject),
  strict: optional(Type.Boolean()),
}
const ToolSchema = strict({ type: Type.Literal('function'), function: strict(functionFields) })
export type ToolBody = Static<typeof ToolSchema>
export const ToolsSchema = Type.Array(ToolSchema)

export const ToolChoiceSchema = Type.Enum(['none', 'auto', 'required'])
const NamedToolSchema = strict({
  type: Type.Literal('function'),
  function: strict({ name: functionFields.name }),
})

export const ChatBodySchema = strict({
  ...generationFields,
  messages: MessagesSchema,
  max_completion_tokens: generationFields.max_tokens,
  logprobs: optional(Type.Boolean()),
  top_logprobs: optional(Type.Integer({ minimum: 0, maximum: 20 })),
  tools: optional(ToolsSchema),
  tool_choice: optional(Type.Union([ToolChoiceSchema, NamedToolSchema])),
  parallel_tool_calls: optional(Type.Boolean()),
  chat_template_kwargs: optional(jsonObject),
  modalities: optional(Type.Array(Type.Literal('text'))),
})
export type ChatBody = Static<typeof ChatBodySchema>

const tokenLogprob = {
  token: Type.String(),
  logprob: Type.Number(),
  bytes: Type.Array(Type.Integer()),
}
export const LogprobSchema = strict({
  ...tokenLogprob,
  top_logprobs: Type.Array(strict(tokenLogprob)),
})
const LogprobsSchema = strict({
  content: Type.Array(LogprobSchema),
  refusal: Type.Null(),
})
export type ChatLogprobs = Static<typeof LogprobsSchema>

const FinishSchema = Type.Enum(['stop', 'length', 'tool_calls'])
export type ChatFinish = Static<typeof FinishSchema>

const calledFunction = strict({ name: Type.String(), arguments: Type.String() })
const ToolCallSchema = strict({
  id: Type.String(),
  type: Type.Literal('function'),
  function: calledFunction,
})
export type ToolCallBody = Static<typeof ToolCallSchema>

const MessageSchema = strict({
  role: Type.Literal('assistant'),
  content: nullable(Type.String()),
  refusal: Type.Null(),
  reasoning_content: Type.Optional(Type.String()),
  tool_calls: Type.Optional(Type.Array(ToolCallSchema)),
})
export type MessageBody = Static<typeof MessageSchema>

const DeltaSchema = strict({
  role: Type.Optional(Type.Literal('assistant')),
  content: Type.Optional(Type.String()),
  reasoning_content: Type.Optional(Type.String()),
  tool_calls: Type.Optional(
    Type.Array(
      strict({
        index: Type.Integer(),
        id: Type.Optional(Type.String()),
        type: Type.Optional(Type.Literal('function')),
        function: Type.Partial(calledFunction),
      }),
    ),
  ),
})
export type Delta = Static<typeof DeltaSchema>

const answer = { id: Type.String(), created: Type.Integer(), model: Type.String() }

export const ChatCompletionSchema = strict({
  ...answer,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(
    strict({
      index: Type.Integer(),
      message: MessageSchema,
      logprobs: nullable(LogprobsSchema),
      finish_reason: FinishSchema,
    }),
  ),
  usage: UsageSchema,
})
export type ChatCompletion = Static<typeof ChatCompletionSchema>

export const ChatChunkSchema = strict({
  ...answer,
  object: Type.Literal('chat.completion.chunk'),
  choices: Type.Array(
    strict({
      index: Type.Integer(),
      delta: DeltaSchema,
      logprobs: nullable(LogprobsSchema),
      finish_reason: nullable(FinishSchema),
    }),
  ),
  usage: Type.Optional(nullable(UsageSchema)),
})
export type ChatChunk = Static<typeof ChatChunkSchema>
