import type { FastifyInstance } from 'fastify'
import type { RouteContext } from '../context.js'
import type { ModelStore } from '../models/store.js'
import { Service } from '../service.js'
import { Batches } from './batches.js'
import { LineExecutor } from './executor.js'
import { Governor } from './governor.js'
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
 * Runs lines of batches by models of this process until the app closes: what runs then has the time to drain, and the
 * rest is released.
 *
 * @param others counts the requests that run beside lines
 */
export function runLines(
  app: FastifyInstance,
  { settings, metrics }: Pick<RouteContext, 'settings' | 'metrics'>,
  models: ModelStore,
  { queue }: BatchStore,
  others: () => number,
): void {
  const service = new Service(models)
  const lineApp = makeLineApp({ service, settings, metrics }, app.log)
  const executor = new LineExecutor(lineApp)
  const governor = new Governor(models, others)
  const runner = new LineRunner(queue, executor, models, governor, app.log)
  runner.start()
  let draining: Promise<void> | undefined
  app.addHook('preClose', async () => {
    runner.stop()
    // while requests do so, too
    draining = service.drain(settings.drainMillis)
  })
  app.addHook('onClose', async () => {
    await draining
    // what has not ended by now
    executor.end()
    await runner.ended()
    await lineApp.close()
  })
}
