import { type Static, Type } from '@fastify/type-provider-typebox'
import type { RouteContext } from '../context.js'
import { errorResponses, strict } from '../schemas/common.js'
import type { App } from './app.js'

const ModelSchema = strict({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer(),
  owned_by: Type.String(),
  max_model_len: Type.Integer({ description: 'the most tokens of prompt and answer together' }),
})
const ModelsSchema = strict({ object: Type.Literal('list'), data: Type.Array(ModelSchema) })

/** GET /v1/models and /v1/models/:id */
export function addModelRoutes(app: App, { service }: RouteContext): void {
  const tell = (name: string): Static<typeof ModelSchema> => {
    const { maxContext } = service.model(name).model
    const { created } = service
    const owned_by = 'dotpool'
    return { id: name, object: 'model', created, owned_by, max_model_len: maxContext }
  }
  const list = {
    summary: 'The models that are served',
    response: { 200: ModelsSchema, ...errorResponses },
  }
  app.get('/v1/models', { schema: list }, () => {
    return { object: 'list' as const, data: [...service.models.keys()].map(tell) }
  })
  const one = {
    summary: 'A model',
    params: Type.Object({ id: Type.String() }),
    response: { 200: ModelSchema, ...errorResponses },
  }
  app.get('/v1/models/:id', { schema: one }, ({ params }) => tell(params.id))
}
