import { Type } from '@fastify/type-provider-typebox'
import { ErrorSchema, strict } from '../schemas/common.js'
import type { App } from './app.js'

const StatusSchema = strict({ status: Type.Literal('ok') })

/** GET /livez, /readyz and /health: without a key. @param checkReady throws an ApiError while nothing is served */
export function addHealthRoutes(app: App, checkReady: () => void): void {
  const ok = { status: 'ok' as const }
  const livez = { summary: 'Whether the process answers', response: { 200: StatusSchema } }
  app.get('/livez', { schema: livez }, () => ok)
  const ready = {
    summary: 'Whether requests are served: 503 while models are loaded, and while it shuts down',
    response: { 200: StatusSchema, 503: ErrorSchema },
  }
  for (const path of ['/readyz', '/health']) {
    app.get(path, { schema: ready }, () => {
      checkReady()
      return ok
    })
  }
}
