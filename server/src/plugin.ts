import swagger from '@fastify/swagger'
import {
  type FastifyPluginAsyncTypebox,
  TypeBoxValidatorCompiler,
} from '@fastify/type-provider-typebox'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { keyChecker } from './auth.js'
import type { RouteContext } from './context.js'
import { ApiError, toApiError } from './errors.js'
import { isRecorded } from './generation/request-record.js'
import { Metrics } from './metrics.js'
import { ModelStore } from './models/store.js'
import { addChatRoute } from './routes/chat.js'
import { addCompletionsRoute } from './routes/completions.js'
import { addEmbeddingsRoute } from './routes/embeddings.js'
import { addHealthRoutes } from './routes/health.js'
import { addModelRoutes } from './routes/models.js'
import { addPage } from './routes/page.js'
import { addResponsesRoute } from './routes/responses.js'
import { addTokenRoutes } from './routes/tokens.js'
import { Service } from './service.js'
import { isCatalog, type RouteOptions, toSettings } from './settings.js'
import { version } from './version.js'

/**
 * The routes of dotpool's server, as a fastify plugin for an app of one's own. They validate, serialise and tell errors
 * by themselves, whatever the app does. When the app closes, requests that run are finished first.
 */
export const dotpoolRoutes: FastifyPluginAsyncTypebox<RouteOptions> = async (app, options) => {
  const settings = toSettings(options)
  const { models } = options
  const catalog = isCatalog(models) ? models : new ModelStore(models)
  const service = new Service(catalog)
  const metrics = new Metrics(catalog, settings.readBandwidth)
  const context: RouteContext = { service, settings, metrics }

  app.setValidatorCompiler(TypeBoxValidatorCompiler)
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(answerError)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  const stops = [metrics.listen(), catalog.log(app.log)]
  app.addHook('onClose', async () => {
    for (const stop of stops) stop()
  })
  app.addHook('preClose', async () => await service.drain(settings.drainMillis))
  app.addHook('onRoute', (route) => {
    route.bodyLimit ??= settings.bodyLimit
  })

  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'dotpool', version } },
  })
  await app.register(async (health) => addHealthRoutes(health, () => service.checkReady()))
  if (settings.page) await app.register(async (page) => addPage(page))
  await app.register(async (guarded) => {
    if (settings.apiKeys.length > 0) {
      const check = keyChecker(settings.apiKeys)
      guarded.addHook('onRequest', async ({ headers }) => check(headers.authorization))
    }
    guarded.get('/metrics', { schema: { hide: true } }, async (_, reply) => {
      return reply.type(metrics.contentType).send(await metrics.text())
    })
    guarded.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
    await guarded.register(async (ready) => {
      ready.addHook('onRequest', async () => service.checkReady())
      addModelRoutes(ready, context)
      addChatRoute(ready, context)
      addCompletionsRoute(ready, context)
      addResponsesRoute(ready, context)
      addEmbeddingsRoute(ready, context)
      addTokenRoutes(ready, context)
    })
  })
}

/** Tells errors in OpenAI's shape, and logs those that are the server's. */
export function answerError(
  error: FastifyError | ApiError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const told = toApiError(error)
  const { statusCode, retryAfterSeconds, body } = told
  if (!isRecorded(request)) logRefusal(request, error, statusCode)
  if (retryAfterSeconds !== undefined) reply.header('retry-after', `${retryAfterSeconds}`)
  reply.code(statusCode).type('application/json').serializer(JSON.stringify).send(body)
}

/** Logs a request that did not come as far as to be a completion. */
function logRefusal({ log, method, url }: FastifyRequest, error: Error, status: number): void {
  if (status >= 500 && !(error instanceof ApiError)) log.error(error)
  else if (status >= 500) log.debug({ status, method, url, reason: error.message }, 'not served')
  else log.info({ status, method, url, reason: error.message }, 'refused')
}
