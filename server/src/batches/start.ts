import type { FastifyInstance } from 'fastify'
import type { RouteContext } from '../context.js'
import type { ModelStore } from '../models/store.js'
import { Batches } from './batches.js'
import { LineExecutor } from './executor.js'
import { InputReader } from './input.js'
import { makeLineApp } from './line-app.js'
import { LineRunner } from './runner.js'
import type { BatchStore } from './store.js'

/**
 * Goes on with the batches of a store, and runs their lines on the app's own models, until the app closes: what runs
 * then is finished if there is time, the rest goes on with the next start. The store is closed with the app.
 */
export function startBatches(
  app: FastifyInstance,
  context: RouteContext,
  models: ModelStore,
  store: BatchStore,
): Batches {
  const { service, settings } = context
  const input = new InputReader(store.files, settings.bodyLimit, (model) => service.nameOf(model))
  const batches = new Batches(store, input, app.log)
  const lineApp = makeLineApp(context, app.log)
  const executor = new LineExecutor(lineApp)
  const runner = new LineRunner(store.queue, executor, models, app.log)
  batches.start(models.ready)
  runner.start()
  app.addHook('preClose', async () => runner.stop())
  app.addHook('onClose', async () => {
    // what has not ended by now
    executor.end()
    await runner.ended()
    await batches.stop()
    await lineApp.close()
    await store[Symbol.asyncDispose]()
  })
  return batches
}
