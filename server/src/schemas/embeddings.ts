import { type Static, Type } from '@fastify/type-provider-typebox'
import { modelField, optional, strict, tokenIds } from './common.js'

/** As OpenAI's API has it. */
const MOST_INPUTS = 2048

const several = { minItems: 1, maxItems: MOST_INPUTS }

export const EmbeddingsBodySchema = strict({
  model: modelField,
  input: Type.Union([
    Type.String(),
    Type.Array(Type.String(), several),
    tokenIds,
    Type.Array(tokenIds, several),
  ]),
  encoding_format: optional(Type.Enum(['float', 'base64'])),
  dimensions: optional(Type.Integer({ minimum: 1 })),
  user: optional(Type.String()),
})

const EmbeddingSchema = strict({
  object: Type.Literal('embedding'),
  index: Type.Integer(),
  embedding: Type.Union([
    Type.Array(Type.Number()),
    Type.String({ description: 'float32, little-endian, in base64' }),
  ]),
})

export const EmbeddingsSchema = strict({
  object: Type.Literal('list'),
  data: Type.Array(EmbeddingSchema),
  model: Type.String(),
  usage: strict({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
})
export type Embeddings = Static<typeof EmbeddingsSchema>
