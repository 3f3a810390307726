import { type Static, Type } from '@fastify/type-provider-typebox'
import { nullable, optional, strict } from './common.js'

export const FileSchema = strict({
  id: Type.String(),
  object: Type.Literal('file'),
  bytes: Type.Integer(),
  created_at: Type.Integer(),
  filename: Type.String(),
  purpose: Type.Enum(['batch', 'batch_output']),
  status: Type.Literal('processed'),
})
/** A file, as it is kept and told. */
export type StoredFile = Static<typeof FileSchema>

export const FileListSchema = strict({
  object: Type.Literal('list'),
  data: Type.Array(FileSchema),
  first_id: nullable(Type.String()),
  last_id: nullable(Type.String()),
  has_more: Type.Boolean(),
})

export const FileDeletedSchema = strict({
  id: Type.String(),
  object: Type.Literal('file'),
  deleted: Type.Literal(true),
})

export const FileListQuery = strict({
  purpose: optional(Type.String()),
  after: optional(Type.String()),
  limit: optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  order: optional(Type.Enum(['asc', 'desc'])),
})
