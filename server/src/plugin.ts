import swagger from '@fastify/swagger'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { keyChecker } from './auth.js'
import { addBatches } from './batches/add-batches.js'
import type { RouteContext } from './context.js'
import { ApiError } from './errors.js'
import { Metrics } from './metrics.js'
import { ModelStore } from './models/store.js'
import { speakProtocol } from './protocol.js'
import { addBatchRoutes } from './routes/batches.js'
import { addFileRoutes } from './routes/files.js'
import { addHealthRoutes } from './routes/health.js'
import { addInferenceRoutes } from './routes/inference.js'
import { addModelRoutes } from './routes/models.js'
import { addPage } from './routes/page.js'
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

  speakProtocol(app)
  const batches = options.batches && addBatches(app, context, catalog, options.batches)
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
      addInferenceRoutes(ready, context)
      addTokenRoutes(ready, context)
      addBatchRoutes(ready, () => batches ?? noBatches())
      // forms are for these alone
      await ready.register(async (files) => addFileRoutes(files, () => batches ?? noBatches()))
    })
  })
}

function noBatches(): never {
  const message =
    'files and batches are off here; `dotpool serve --files FOLDER` keeps them in that folder, a fleet in NATS'
  throw new ApiError(404, message, { code: 'batches_disabled' })
}
