import type { FastifyInstance } from 'fastify'
import type { RouteContext } from '../context.js'
import type { ModelCatalog } from '../models/catalog.js'
import { ModelStore } from '../models/store.js'
import { Batches } from './batches.js'
import { InputReader } from './input.js'
import { Lines } from './lines.js'
import type { BatchStore } from './store.js'

/**
 * Goes on with the batches of a store, and runs their lines where the models are of this process, until the app closes.
 * The store is closed with the app.
 */
export function addBatches(
  app: FastifyInstance,
  { service, settings, metrics }: RouteContext,
  catalog: ModelCatalog,
  store: BatchStore,
): Batches {
  const { log } = app
  const input = new InputReader(store.files, settings.bodyLimit, (model) => service.nameOf(model))
  const batches = new Batches(store, input, log)
  batches.start(catalog.ready)
  const { queue } = store
  const others = () => service.active
  // a fleet's workers take them by themselves
  const lines =
    catalog instanceof ModelStore
      ? new Lines({ settings, metrics, queue, models: catalog, others, log })
      : undefined
  let draining: Promise<void> | undefined
  app.addHook('preClose', async () => {
    // while requests do so, too
    draining = lines?.drain(settings.drainMillis)
  })
  app.addHook('onClose', async () => {
    await draining
    await lines?.close()
    await batches.stop()
    await store[Symbol.asyncDispose]()
  })
  return batches
}
