import { type Static, Type } from '@fastify/type-provider-typebox'
import { generationFields, nullable, optional, strict, tokenIds, UsageSchema } from './common.js'

export const CompletionBodySchema = strict({
  ...generationFields,
  prompt: Type.Union([
    Type.String(),
    Type.Array(Type.String(), { minItems: 1 }),
    tokenIds,
    Type.Array(tokenIds, { minItems: 1 }),
  ]),
  logprobs: optional(Type.Integer({ minimum: 0, maximum: 20 })),
  echo: optional(Type.Literal(false)),
  best_of: optional(Type.Literal(1)),
})
export type CompletionBody = Static<typeof CompletionBodySchema>

const LogprobsSchema = strict({
  tokens: Type.Array(Type.String()),
  token_logprobs: Type.Array(Type.Number()),
  top_logprobs: Type.Array(Type.Record(Type.String(), Type.Number())),
  text_offset: Type.Array(Type.Integer()),
})
export type CompletionLogprobs = Static<typeof LogprobsSchema>

const FinishSchema = Type.Enum(['stop', 'length'])

const answer = {
  id: Type.String(),
  object: Type.Literal('text_completion'),
  created: Type.Integer(),
  model: Type.String(),
}
const choice = {
  index: Type.Integer(),
  text: Type.String(),
  logprobs: nullable(LogprobsSchema),
}

export const CompletionSchema = strict({
  ...answer,
  choices: Type.Array(strict({ ...choice, finish_reason: FinishSchema })),
  usage: UsageSchema,
})
export type Completion = Static<typeof CompletionSchema>

export const CompletionChunkSchema = strict({
  ...answer,
  choices: Type.Array(strict({ ...choice, finish_reason: nullable(FinishSchema) })),
  usage: Type.Optional(nullable(UsageSchema)),
})
export type CompletionChunk = Static<typeof CompletionChunkSchema>
