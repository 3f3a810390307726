import { type Static, Type } from '@fastify/type-provider-typebox'
import type { RouteContext } from '../context.js'
import { RequestScope } from '../request-scope.js'
import { errorResponses, strict } from '../schemas/common.js'
import type { App } from './app.js'

const ModelSchema = strict({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer(),
  owned_by: Type.String(),
  max_model_len: Type.Integer({ description: 'the most tokens of prompt and answer together' }),
  status: strict({ value: Type.Enum(['unloaded', 'loading', 'loaded']) }),
})
const ModelsSchema = strict({ object: Type.Literal('list'), data: Type.Array(ModelSchema) })

const NameBody = strict({ model: Type.String() })
const SuccessSchema = strict({ success: Type.Literal(true) })

/** GET /v1/models and /v1/models/:id, POST /models/load and /models/unload */
export function addModelRoutes(app: App, { service, settings }: RouteContext): void {
  const { catalog } = service
  const tell = (name: string): Static<typeof ModelSchema> => {
    const { maxContext, status } = catalog.info(name)
    const { created } = service
    return {
      id: name,
      object: 'model',
      created,
      owned_by: 'dotpool',
      max_model_len: maxContext,
      status: { value: status },
    }
  }
  const list = {
    summary: 'The models that are served, loaded or not',
    response: { 200: ModelsSchema, ...errorResponses },
  }
  app.get('/v1/models', { schema: list }, () => {
    return { object: 'list' as const, data: catalog.names.map(tell) }
  })
  const one = {
    summary: 'A model',
    params: Type.Object({ id: Type.String() }),
    response: { 200: ModelSchema, ...errorResponses },
  }
  app.get('/v1/models/:id', { schema: one }, ({ params }) => tell(params.id))

  const success = { success: true as const }
  const load = {
    summary: 'Loads a model, before the first request does; answers once it is',
    body: NameBody,
    response: { 200: SuccessSchema, ...errorResponses },
  }
  app.post('/models/load', { schema: load }, async ({ body }, reply) => {
    using scope = new RequestScope(service, reply, settings.requestTimeoutMillis)
    await catalog.load(body.model, scope.signal)
    return success
  })
  const unload = {
    summary: 'Unloads a model that no request uses; the next that does loads it again',
    body: NameBody,
    response: { 200: SuccessSchema, ...errorResponses },
  }
  app.post('/models/unload', { schema: unload }, ({ body }) => {
    catalog.unload(body.model)
    return success
  })
}
