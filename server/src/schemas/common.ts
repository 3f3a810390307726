import {
  type Static,
  type TLiteral,
  type TObject,
  type TSchema,
  Type,
} from '@fastify/type-provider-typebox'

/** A field that may be left out, or null as many clients have it. */
export function optional<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

/** An object without any other fields: what is not supported is refused, not ignored. */
export function strict<Fields extends Record<string, TSchema>>(fields: Fields) {
  return Type.Object(fields, { additionalProperties: false })
}

export const nullable = <Schema extends TSchema>(schema: Schema) =>
  Type.Union([schema, Type.Null()])

type Typed = {
  type: TLiteral<string>
}

/**
 * Objects of several types, by their field `type`; without one, of the last. Unlike a union it tells what is wrong by
 * the schema of the object's own type.
 */
export function byType<Types extends TObject<Typed>[], Last extends TObject>(
  schemas: readonly [...Types],
  last: Last,
  lastType: string,
) {
  const types = schemas.map(({ properties }) => properties.type.const)
  const isOf = (type: object) => ({ required: ['type'], properties: { type } })
  return Type.Unsafe<Static<Types[number] | Last>>({
    type: 'object',
    properties: { type: { enum: [...types, lastType] } },
    allOf: [
      // `else` throughout, for what is wrong by `then` is not told
      ...schemas.map((schema) => ({ if: { not: isOf(schema.properties.type) }, else: schema })),
      { if: isOf({ enum: types }), else: last },
    ],
  })
}

export const jsonObject = Type.Record(Type.String(), Type.Unknown())

export const ErrorSchema = strict({
  error: strict({
    message: Type.String(),
    type: Type.String(),
    param: nullable(Type.String()),
    code: nullable(Type.String()),
  }),
})

/** What every route may answer beside its own. */
export const errorResponses = { '4xx': ErrorSchema, '5xx': ErrorSchema }

/** A stream that fails ends with an error. */
export const orError = <Chunk extends TSchema>(chunk: Chunk) => Type.Union([chunk, ErrorSchema])

/** An answer at once, or by server-sent events of such chunks. */
export function jsonOrEvents<Answer extends TSchema, Chunk extends TSchema>(
  answer: Answer,
  chunk: Chunk,
) {
  return {
    description: 'The answer; with `stream: true`, events of its parts',
    content: { 'application/json': { schema: answer }, 'text/event-stream': { schema: chunk } },
  }
}

export const modelField = optional(
  Type.String({ description: 'one of GET /v1/models; the first by default' }),
)

export const tokenIds = Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 }))

/** A JSON Schema, and what it is called. */
export const schemaFields = {
  name: Type.String({ minLength: 1 }),
  description: optional(Type.String()),
  schema: jsonObject,
  strict: optional(Type.Boolean({ description: 'the schema is enforced in any case' })),
}
export const formatType = Type.Enum(['text', 'json_object', 'json_schema'])
const ResponseFormatSchema = strict({
  type: formatType,
  json_schema: optional(strict(schemaFields)),
})

/** As vLLM has it. */
const StructuredOutputsSchema = strict({
  json: optional(Type.Union([jsonObject, Type.String()])),
  json_object: optional(Type.Literal(true)),
  regex: optional(Type.String({ minLength: 1 })),
  choice: optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
  grammar: optional(Type.String({ minLength: 1 })),
})

/** What both kinds of completions take. */
export const generationFields = {
  model: modelField,
  stream: optional(Type.Boolean()),
  stream_options: optional(strict({ include_usage: optional(Type.Boolean()) })),
  n: optional(Type.Integer({ minimum: 1 })),
  max_tokens: optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  stop: optional(
    Type.Union([
      Type.String({ minLength: 1 }),
      Type.Array(Type.String({ minLength: 1 }), { maxItems: 16 }),
    ]),
  ),
  temperature: optional(Type.Number({ minimum: 0, maximum: 1e6 })),
  top_p: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
  top_k: optional(Type.Integer({ minimum: -1, maximum: 2 ** 31, description: '-1 and 0: all' })),
  min_p: optional(Type.Number({ minimum: 0, maximum: 1 })),
  repetition_penalty: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1e6 })),
  frequency_penalty: optional(Type.Number({ minimum: -2, maximum: 2 })),
  presence_penalty: optional(Type.Number({ minimum: -2, maximum: 2 })),
  logit_bias: optional(Type.Record(Type.String(), Type.Number({ minimum: -100, maximum: 100 }))),
  seed: optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  ignore_eos: optional(Type.Boolean()),
  response_format: optional(ResponseFormatSchema),
  structured_outputs: optional(StructuredOutputsSchema),
  // these do not change the answer
  user: optional(Type.String()),
  metadata: optional(jsonObject),
  store: optional(Type.Literal(false)),
  service_tier: optional(Type.Enum(['auto', 'default'])),
  safety_identifier: optional(Type.String()),
  prompt_cache_key: optional(Type.String()),
}

const GenerationBody = strict(generationFields)
/** The fields that both kinds of completions have. */
export type GenerationBody = Static<typeof GenerationBody>

export const UsageSchema = strict({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: strict({ cached_tokens: Type.Integer() }),
})
export type UsageBody = Static<typeof UsageSchema>
