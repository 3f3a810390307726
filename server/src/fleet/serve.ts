import type { NatsConnection } from '@nats-io/transport-node'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { Lines } from '../batches/lines.js'
import { NatsStore } from '../batches/nats/nats-store.js'
import { Metrics } from '../metrics.js'
import type { ModelStore } from '../models/store.js'
import { addRoutes, type ServerOptions } from '../server.js'
import { type Settings, toSettings } from '../settings.js'
import { checkRole, FleetMember, type FleetRole } from './member.js'
import { patiently } from './patiently.js'
import { Subjects } from './subjects.js'
import { connectNats, type NatsOptions } from './transport/nats/connect.js'
import { noJetStream } from './transport/nats/no-jet-stream.js'
import { NatsTransport } from './transport/nats/transport.js'
import { addWorkerRoutes } from './worker/routes.js'
import type { FleetWorker } from './worker/worker.js'

/** Which fleet a process is a member of. */
export interface FleetOptions {
  readonly nats: NatsOptions
  /** What its subjects begin with, so that fleets can share a server. `dotpool` by default. */
  readonly prefix?: string | undefined
  /** By default it is both. */
  readonly role?: FleetRole | undefined
}

/**
 * Makes a process a member of a fleet, and adds its routes: OpenAI's protocol, or those of a worker's health.
 *
 * @returns what joins the fleet, once the app listens
 * @throws why there is no connection
 */
export async function addFleetMember(
  app: FastifyInstance,
  fleet: FleetOptions,
  store: ModelStore | undefined,
  options: Omit<ServerOptions, 'models' | 'logger' | 'tls'>,
): Promise<() => Promise<void>> {
  const { nats, prefix = 'dotpool', role } = fleet
  const { log } = app
  checkRole(role, store)
  const settings = toSettings({ ...options, models: {} })
  const subjects = new Subjects(prefix)
  const name = `dotpool ${role ?? 'member'}`
  const connection = await patiently(log, () => connectNats(nats, name))
  const transport = new NatsTransport(connection)
  const member = new FleetMember({ transport, subjects, role, store, log })
  // whatever fails from here on
  app.addHook('onClose', async () => await member.close())
  const { worker, catalog } = member
  const batches = await patiently(log, () => openBatches(connection, prefix))
  const lines = worker && runLines(batches, worker, member.store, settings, log)
  let draining: Promise<unknown> | undefined
  app.addHook('preClose', async () => {
    const { drainMillis } = settings
    draining = Promise.all([member.drain(drainMillis), lines?.drain(drainMillis)])
    // the routes of a gateway drain meanwhile
    if (role === 'worker') await draining
  })
  // before the member's
  app.addHook('onClose', async () => {
    await draining
    await lines?.close()
    await batches[Symbol.asyncDispose]()
  })
  if (catalog !== undefined) addRoutes(app, { ...options, models: catalog, batches })
  else if (worker !== undefined) addWorkerRoutes(app, worker, member.store, settings)
  return async () => await member.join()
}

async function openBatches(connection: NatsConnection, prefix: string): Promise<NatsStore> {
  try {
    return await NatsStore.open(connection, prefix)
  } catch (error) {
    throw noJetStream(error)
  }
}

/** Runs lines of the fleet's batches beside the requests that it sends. */
function runLines(
  { queue }: NatsStore,
  worker: FleetWorker,
  models: ModelStore,
  settings: Settings,
  log: FastifyBaseLogger,
): Lines {
  const metrics = new Metrics(models, settings.readBandwidth)
  return new Lines({ queue, models, settings, metrics, others: () => worker.size, log })
}
