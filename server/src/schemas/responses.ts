import { type Static, Type } from '@fastify/type-provider-typebox'
import { functionFields, LogprobSchema, ToolChoiceSchema } from './chat.js'
import {
  byType,
  formatType,
  generationFields,
  jsonObject,
  nullable,
  optional,
  schemaFields,
  strict,
} from './common.js'

/* ---- what is asked --------------------------------------------------------------------------------- */

const ItemStatusSchema = Type.Enum(['in_progress', 'completed', 'incomplete'])
export type ItemStatus = Static<typeof ItemStatusSchema>
/** What items have that were given out before, and what says nothing. */
const itemFields = { id: optional(Type.String()), status: optional(ItemStatusSchema) }

const TextPartSchema = Type.Object({
  type: Type.Enum(['input_text', 'output_text']),
  text: Type.String(),
})
const InputMessageSchema = strict({
  ...itemFields,
  type: Type.Optional(Type.Literal('message')),
  role: Type.Enum(['user', 'assistant', 'system', 'developer']),
  content: Type.Union([Type.String(), Type.Array(TextPartSchema)]),
  phase: optional(Type.String()),
})
const InputCallSchema = strict({
  ...itemFields,
  type: Type.Literal('function_call'),
  call_id: Type.String({ minLength: 1 }),
  name: Type.String({ minLength: 1 }),
  arguments: Type.String(),
  parsed_arguments: optional(Type.Unknown({ description: "of OpenAI's client, which adds it" })),
})
const CallOutputSchema = strict({
  ...itemFields,
  type: Type.Literal('function_call_output'),
  call_id: Type.String({ minLength: 1 }),
  output: Type.Union([Type.String(), Type.Array(TextPartSchema)]),
})
const ReasoningTextSchema = strict({ type: Type.Literal('reasoning_text'), text: Type.String() })
const InputReasoningSchema = strict({
  ...itemFields,
  type: Type.Literal('reasoning'),
  content: optional(Type.Array(ReasoningTextSchema)),
  summary: optional(Type.Array(Type.Unknown(), { maxItems: 0 })),
  encrypted_content: Type.Optional(Type.Null()),
})
const InputItemSchema = byType(
  [InputCallSchema, CallOutputSchema, InputReasoningSchema],
  InputMessageSchema,
  'message',
)
export type InputItem = Static<typeof InputItemSchema>

const ToolSchema = strict({ type: Type.Literal('function'), ...functionFields })
const ToolUseSchema = Type.Union([
  ToolChoiceSchema,
  strict({ type: Type.Literal('function'), name: functionFields.name }),
])

const TextFormatSchema = strict({
  type: formatType,
  ...schemaFields,
  name: optional(schemaFields.name),
  schema: optional(schemaFields.schema),
})

// a response has no such fields
const {
  n: _n,
  stream_options: _streamOptions,
  max_tokens: maxTokens,
  response_format: _format,
  ...sharedFields
} = generationFields

export const ResponseBodySchema = strict({
  ...sharedFields,
  input: Type.Union([Type.String(), Type.Array(InputItemSchema, { minItems: 1 })]),
  instructions: optional(Type.String()),
  max_output_tokens: maxTokens,
  tools: optional(Type.Array(ToolSchema)),
  tool_choice: optional(ToolUseSchema),
  parallel_tool_calls: optional(Type.Boolean()),
  text: optional(
    strict({
      format: optional(TextFormatSchema),
      verbosity: optional(Type.Literal('medium')),
    }),
  ),
  reasoning: optional(
    strict({
      effort: optional(
        Type.Enum(['none', 'medium'], {
          description: '`none` has a model not think that can be told so; there are no degrees',
        }),
      ),
      summary: optional(Type.Null()),
    }),
  ),
  include: optional(Type.Array(Type.Literal('message.output_text.logprobs'))),
  top_logprobs: optional(Type.Integer({ minimum: 0, maximum: 20 })),
  previous_response_id: optional(Type.String({ description: 'refused: none are stored' })),
  conversation: optional(Type.Unknown({ description: 'refused: none are stored' })),
  background: optional(Type.Literal(false)),
  truncation: optional(Type.Literal('disabled')),
  stream_options: optional(strict({ include_obfuscation: optional(Type.Literal(false)) })),
})
export type ResponseBody = Static<typeof ResponseBodySchema>

/* ---- what is answered ------------------------------------------------------------------------------ */

const OutputTextSchema = strict({
  type: Type.Literal('output_text'),
  text: Type.String(),
  annotations: Type.Array(Type.Unknown(), { maxItems: 0 }),
  logprobs: Type.Array(LogprobSchema),
})
const MessageItemSchema = strict({
  id: Type.String(),
  type: Type.Literal('message'),
  status: ItemStatusSchema,
  role: Type.Literal('assistant'),
  content: Type.Array(OutputTextSchema),
})
const CallItemSchema = strict({
  id: Type.String(),
  type: Type.Literal('function_call'),
  status: ItemStatusSchema,
  call_id: Type.String(),
  name: Type.String(),
  arguments: Type.String(),
})
const ReasoningItemSchema = strict({
  id: Type.String(),
  type: Type.Literal('reasoning'),
  status: ItemStatusSchema,
  summary: Type.Array(Type.Unknown(), { maxItems: 0 }),
  content: Type.Array(ReasoningTextSchema),
})
const OutputItemSchema = Type.Union([MessageItemSchema, CallItemSchema, ReasoningItemSchema])
export type MessageItem = Static<typeof MessageItemSchema>
export type CallItem = Static<typeof CallItemSchema>
export type ReasoningItem = Static<typeof ReasoningItemSchema>
export type OutputItem = Static<typeof OutputItemSchema>

const ResponseUsageSchema = strict({
  input_tokens: Type.Integer(),
  input_tokens_details: strict({
    cached_tokens: Type.Integer(),
    cache_write_tokens: Type.Integer(),
  }),
  output_tokens: Type.Integer(),
  output_tokens_details: strict({ reasoning_tokens: Type.Integer() }),
  total_tokens: Type.Integer(),
})

/** A response has the fields of its request, with what they are by default. */
export const ResponseSchema = strict({
  id: Type.String(),
  object: Type.Literal('response'),
  created_at: Type.Integer(),
  completed_at: nullable(Type.Integer()),
  status: Type.Enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: nullable(
    strict({
      code: Type.Enum(['server_error', 'rate_limit_exceeded', 'invalid_prompt']),
      message: Type.String(),
    }),
  ),
  incomplete_details: nullable(strict({ reason: Type.Literal('max_output_tokens') })),
  model: Type.String(),
  output: Type.Array(OutputItemSchema),
  usage: nullable(ResponseUsageSchema),
  instructions: nullable(Type.String()),
  max_output_tokens: nullable(Type.Integer()),
  tools: Type.Array(
    strict({
      type: Type.Literal('function'),
      name: Type.String(),
      description: nullable(Type.String()),
      parameters: nullable(jsonObject),
      strict: Type.Boolean(),
    }),
  ),
  tool_choice: ToolUseSchema,
  parallel_tool_calls: Type.Boolean(),
  text: strict({ format: TextFormatSchema, verbosity: Type.Literal('medium') }),
  reasoning: strict({ effort: nullable(Type.Enum(['none', 'medium'])), summary: Type.Null() }),
  temperature: Type.Number(),
  top_p: Type.Number(),
  presence_penalty: Type.Number(),
  frequency_penalty: Type.Number(),
  top_logprobs: Type.Integer(),
  truncation: Type.Literal('disabled'),
  store: Type.Literal(false),
  background: Type.Literal(false),
  previous_response_id: Type.Null(),
  service_tier: Type.Literal('default'),
  metadata: jsonObject,
  user: nullable(Type.String()),
  safety_identifier: nullable(Type.String()),
  prompt_cache_key: nullable(Type.String()),
})
export type ResponseObject = Static<typeof ResponseSchema>

/* ---- the events of a stream ------------------------------------------------------------------------ */

const numbered = { sequence_number: Type.Integer() }
const ofItem = { ...numbered, output_index: Type.Integer() }
const ofPart = { ...ofItem, item_id: Type.String(), content_index: Type.Integer() }
const PartSchema = Type.Union([OutputTextSchema, ReasoningTextSchema])

const named = <Name extends string>(type: Name) => ({ type: Type.Literal(type) })
const whole = <Name extends string>(type: Name) =>
  strict({ ...named(type), ...numbered, response: ResponseSchema })
const logprobs = Type.Array(LogprobSchema)

export const ResponseEventSchema = Type.Union([
  whole('response.created'),
  whole('response.in_progress'),
  whole('response.completed'),
  whole('response.incomplete'),
  whole('response.failed'),
  strict({ ...named('response.output_item.added'), ...ofItem, item: OutputItemSchema }),
  strict({ ...named('response.output_item.done'), ...ofItem, item: OutputItemSchema }),
  strict({ ...named('response.content_part.added'), ...ofPart, part: PartSchema }),
  strict({ ...named('response.content_part.done'), ...ofPart, part: PartSchema }),
  strict({ ...named('response.output_text.delta'), ...ofPart, delta: Type.String(), logprobs }),
  strict({ ...named('response.output_text.done'), ...ofPart, text: Type.String(), logprobs }),
  strict({ ...named('response.reasoning_text.delta'), ...ofPart, delta: Type.String() }),
  strict({ ...named('response.reasoning_text.done'), ...ofPart, text: Type.String() }),
  strict({
    ...named('response.function_call_arguments.delta'),
    ...ofItem,
    item_id: Type.String(),
    delta: Type.String(),
  }),
  strict({
    ...named('response.function_call_arguments.done'),
    ...ofItem,
    item_id: Type.String(),
    name: Type.String(),
    arguments: Type.String(),
  }),
  strict({
    ...named('error'),
    ...numbered,
    code: nullable(Type.String()),
    message: Type.String(),
    param: nullable(Type.String()),
  }),
])
export type ResponseEvent = Static<typeof ResponseEventSchema>
