import type { FastifyInstance, FastifyRequest } from 'fastify'
import { keyChecker } from '../../auth.js'
import { Metrics } from '../../metrics.js'
import type { ModelStore } from '../../models/store.js'
import { addHealthRoutes } from '../../routes/health.js'
import type { Settings } from '../../settings.js'
import type { FleetWorker } from './worker.js'

/** What is asked of a worker by HTTP: whether it lives, whether it serves its fleet, and its metrics. */
export function addWorkerRoutes(
  app: FastifyInstance,
  worker: FleetWorker,
  store: ModelStore,
  { apiKeys, readBandwidth }: Settings,
): void {
  const metrics = new Metrics(store, readBandwidth)
  const stops = [metrics.listen(), store.log(app.log)]
  app.addHook('onClose', async () => {
    for (const stop of stops) stop()
  })
  app.setSerializerCompiler(() => JSON.stringify)
  addHealthRoutes(app, () => worker.checkReady())
  const onRequest = apiKeys.length === 0 ? [] : [checkKey(apiKeys)]
  app.get('/metrics', { onRequest }, async (_, reply) => {
    return reply.type(metrics.contentType).send(await metrics.text())
  })
}

function checkKey(apiKeys: readonly string[]) {
  const check = keyChecker(apiKeys)
  return async ({ headers }: FastifyRequest) => {
    check(headers.authorization)
  }
}
