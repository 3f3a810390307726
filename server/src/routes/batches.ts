import { Type } from '@fastify/type-provider-typebox'
import type { Batches } from '../batches/batches.js'
import { page } from '../batches/page.js'
import {
  BatchBodySchema,
  BatchListQuery,
  BatchListSchema,
  BatchSchema,
} from '../schemas/batches.js'
import { errorResponses } from '../schemas/common.js'
import type { App } from './app.js'

/** As OpenAI's API has it. */
const DEFAULT_LIMIT = 20

const params = Type.Object({ id: Type.String() })

/** POST and GET /v1/batches, and what cancels one. */
export function addBatchRoutes(app: App, batches: () => Batches): void {
  const create = {
    summary: 'Runs the requests of a file, while models have nothing else to do',
    body: BatchBodySchema,
    response: { 200: BatchSchema, ...errorResponses },
  }
  app.post('/v1/batches', { schema: create }, async ({ body }) => await batches().create(body))

  const list = {
    summary: 'The batches, the newest first',
    querystring: BatchListQuery,
    response: { 200: BatchListSchema, ...errorResponses },
  }
  app.get('/v1/batches', { schema: list }, async ({ query }) => {
    return page(await batches().list(), query.after, query.limit ?? DEFAULT_LIMIT)
  })

  const one = { summary: 'A batch', params, response: { 200: BatchSchema, ...errorResponses } }
  app.get('/v1/batches/:id', { schema: one }, async ({ params }) => await batches().get(params.id))

  const cancel = {
    summary: 'Cancels a batch: the results that it has stay',
    params,
    response: { 200: BatchSchema, ...errorResponses },
  }
  app.post('/v1/batches/:id/cancel', { schema: cancel }, async ({ params }) => {
    return await batches().cancel(params.id)
  })
}
