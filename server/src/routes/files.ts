import { Readable } from 'node:stream'
import multipart, { type Multipart, type MultipartFile } from '@fastify/multipart'
import { Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Batches } from '../batches/batches.js'
import { makeOrderedId } from '../batches/ids.js'
import { page } from '../batches/page.js'
import { ApiError, refuse } from '../errors.js'
import { nowSeconds } from '../ids.js'
import { errorResponses } from '../schemas/common.js'
import {
  FileDeletedSchema,
  FileListQuery,
  FileListSchema,
  FileSchema,
  type StoredFile,
} from '../schemas/files.js'
import type { App } from './app.js'

/** As OpenAI's API has it, of the input of a batch. */
const MOST_BYTES = 200 << 20

/** Around the file: the other fields, and the boundaries. */
const AROUND_FILE = 1 << 16

const BinarySchema = Type.Unsafe<Readable>({ type: 'string', format: 'binary' })

const params = Type.Object({ id: Type.String() })

/** POST, GET and DELETE /v1/files: what batches read and write. */
export async function addFileRoutes(app: App, batches: () => Batches): Promise<void> {
  await app.register(multipart, {
    limits: { files: 1, fields: 8, fieldSize: 1024, fileSize: MOST_BYTES },
    throwFileSizeLimit: false,
  })
  const upload = {
    summary: 'Keeps a file of requests, by the fields `file` and `purpose` of a form',
    consumes: ['multipart/form-data'],
    response: { 200: FileSchema, ...errorResponses },
  }
  const bodyLimit = MOST_BYTES + AROUND_FILE
  app.post('/v1/files', { schema: upload, bodyLimit }, async (request) => {
    return await receive(request, batches())
  })

  const list = {
    summary: 'The files that are kept',
    querystring: FileListQuery,
    response: { 200: FileListSchema, ...errorResponses },
  }
  app.get('/v1/files', { schema: list }, async ({ query }) => {
    const files = await batches().listFiles()
    const wanted = files.filter(({ purpose }) => (query.purpose ?? purpose) === purpose)
    if (query.order === 'asc') wanted.reverse()
    return page(wanted, query.after, query.limit ?? 10_000)
  })

  const one = { summary: 'A file', params, response: { 200: FileSchema, ...errorResponses } }
  app.get('/v1/files/:id', { schema: one }, async ({ params }) => await batches().file(params.id))

  const content = {
    summary: 'The content of a file',
    params,
    response: {
      200: {
        description: 'The file',
        content: { 'application/octet-stream': { schema: BinarySchema } },
      },
      ...errorResponses,
    },
  }
  app.get('/v1/files/:id/content', { schema: content }, async ({ params }, reply) => {
    const { id, bytes } = await batches().file(params.id)
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': bytes,
      // a browser is not to show what somebody has uploaded
      'content-disposition': `attachment; filename="${id}.jsonl"`,
      'x-content-type-options': 'nosniff',
    }
    return reply.headers(headers).send(Readable.from(batches().files.read(id)))
  })

  const deletion = {
    summary: 'Deletes a file that no batch needs',
    params,
    response: { 200: FileDeletedSchema, ...errorResponses },
  }
  app.delete('/v1/files/:id', { schema: deletion }, async ({ params: { id } }) => {
    await batches().deleteFile(id)
    return { id, object: 'file' as const, deleted: true as const }
  })
}

/** Keeps the file of a form, whose fields may come before or after it. */
async function receive(request: FastifyRequest, { files }: Batches): Promise<StoredFile> {
  if (!request.isMultipart()) {
    throw new ApiError(400, 'expected a form, `multipart/form-data`, with `file` and `purpose`')
  }
  let file: StoredFile | undefined
  let purpose: unknown
  try {
    for await (const part of partsOf(request)) {
      if (part.fieldname === 'purpose' && part.type === 'field') purpose = part.value
      else if (part.fieldname === 'file' && part.type === 'file') file = await keep(part, files)
      else throw refuse(part.fieldname, 'this field is not supported', 'unsupported_parameter')
    }
    if (file === undefined) throw refuse('file', 'expected a file')
    if (purpose !== 'batch') throw refuse('purpose', 'must be "batch"')
    return file
  } catch (error) {
    if (file !== undefined) await files.delete(file.id)
    throw error
  }
}

async function* partsOf(request: FastifyRequest): AsyncGenerator<Multipart, void, void> {
  try {
    yield* request.parts()
  } catch (error) {
    throw toFormError(error)
  }
}

async function keep(part: MultipartFile, files: Batches['files']): Promise<StoredFile> {
  const description = {
    id: makeOrderedId('file-'),
    object: 'file' as const,
    created_at: nowSeconds(),
    filename: part.filename,
    purpose: 'batch' as const,
    status: 'processed' as const,
  }
  try {
    return await files.put(description, bounded(part.file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    throw new ApiError(507, 'the disk of the server has no room for the file', { cause: error })
  }
}

async function* bounded(stream: MultipartFile['file']): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* stream
  } catch (error) {
    throw toFormError(error)
  }
  if (!stream.truncated) return
  throw new ApiError(413, `file: at most ${MOST_BYTES} bytes`, {
    param: 'file',
    code: 'file_too_large',
  })
}

/** What the parser does not say as fastify does is wrong with the form. */
function toFormError(error: unknown): unknown {
  const { statusCode, message } = error as Error & { statusCode?: number }
  return statusCode === undefined ? new ApiError(400, `the form is broken: ${message}`) : error
}
