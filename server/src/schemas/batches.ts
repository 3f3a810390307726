import { type Static, Type } from '@fastify/type-provider-typebox'
import { nullable, optional, strict } from './common.js'

/** Routes that a batch can ask. */
export const endpoints = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
  '/v1/embeddings',
] as const
export type Endpoint = (typeof endpoints)[number]

/** As OpenAI's API has it. */
const MetadataSchema = Type.Record(
  Type.String({ maxLength: 64 }),
  Type.String({ maxLength: 512 }),
  {
    maxProperties: 16,
  },
)

export const BatchBodySchema = strict({
  input_file_id: Type.String(),
  endpoint: Type.Enum([...endpoints]),
  completion_window: Type.String({
    pattern: '^[1-9]\\d{0,4}[smhd]$',
    description: 'such as 24h: lines that did not run by then expire',
  }),
  metadata: optional(MetadataSchema),
})
export type BatchBody = Static<typeof BatchBodySchema>

const BatchErrorSchema = strict({
  code: Type.String(),
  message: Type.String(),
  param: nullable(Type.String()),
  line: nullable(Type.Integer({ description: 'of the input file, from 1' })),
})
/** What is wrong with an input file. */
export type BatchError = Static<typeof BatchErrorSchema>

const CountsSchema = strict({
  total: Type.Integer(),
  completed: Type.Integer(),
  failed: Type.Integer(),
})

const seconds = nullable(Type.Integer())

export const BatchSchema = strict({
  id: Type.String(),
  object: Type.Literal('batch'),
  endpoint: Type.Enum([...endpoints]),
  errors: nullable(strict({ object: Type.Literal('list'), data: Type.Array(BatchErrorSchema) })),
  input_file_id: Type.String(),
  completion_window: Type.String(),
  status: Type.Enum([
    'validating',
    'failed',
    'in_progress',
    'finalizing',
    'completed',
    'expired',
    'cancelling',
    'cancelled',
  ]),
  output_file_id: nullable(Type.String()),
  error_file_id: nullable(Type.String()),
  created_at: Type.Integer(),
  in_progress_at: seconds,
  expires_at: Type.Integer(),
  finalizing_at: seconds,
  completed_at: seconds,
  failed_at: seconds,
  expired_at: seconds,
  cancelling_at: seconds,
  cancelled_at: seconds,
  request_counts: CountsSchema,
  metadata: nullable(MetadataSchema),
})
/** A batch, as it is kept and told. */
export type Batch = Static<typeof BatchSchema>

export const BatchListSchema = strict({
  object: Type.Literal('list'),
  data: Type.Array(BatchSchema),
  first_id: nullable(Type.String()),
  last_id: nullable(Type.String()),
  has_more: Type.Boolean(),
})

export const BatchListQuery = strict({
  after: optional(Type.String()),
  limit: optional(Type.Integer({ minimum: 1, maximum: 100 })),
})
