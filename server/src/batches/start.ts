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
 * Goes on with the batches of a store until the app closes. Their lines are run by {@link runLines}, here or elsewhere.
 * The store is closed with the app.
 *
 * @param ready resolves once models are known
 */
export function driveBatches(
  app: FastifyInstance,
  { service, settings }: RouteContext,
  store: BatchStore,
  ready: Promise<void>,
): Batches {
  const input = new InputReader(store.files, settings.bodyLimit, (model) => service.nameOf(model))
  const batches = new Batches(store, input, app.log)
  batches.start(ready)
  app.addHook('onClose', async () => {
    await batches.stop()
    await store[Symbol.asyncDispose]()
  })
  return batches
}

/**
 * Runs lines of batches by models of this process until the app closes. What runs then is finished while the app's
 * service drains; the rest is released.
 *
 * @param context whose service has the models
 */
export function runLines(
  app: FastifyInstance,
  context: RouteContext,
  models: ModelStore,
  { queue }: BatchStore,
): void {
  const lineApp = makeLineApp(context, app.log)
  const executor = new LineExecutor(lineApp)
  const runner = new LineRunner(queue, executor, models, app.log)
  runner.start()
  app.addHook('preClose', async () => runner.stop())
  app.addHook('onClose', async () => {
    // what has not ended by now
    executor.end()
    await runner.ended()
    await lineApp.close()
  })
}
