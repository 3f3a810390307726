import { setTimeout } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { ModelStore } from '../models/store.js'
import { addRoutes, type ServerOptions } from '../server.js'
import { toSettings } from '../settings.js'
import { FleetMember, type FleetRole } from './member.js'
import { Subjects } from './subjects.js'
import { connectNats, type NatsOptions } from './transport/nats/connect.js'
import { NatsTransport } from './transport/nats/transport.js'
import { addWorkerRoutes } from './worker/routes.js'

/** Which fleet a process is a member of. */
export interface FleetOptions {
  readonly nats: NatsOptions
  /** What its subjects begin with, so that fleets can share a server. `dotpool` by default. */
  readonly prefix?: string | undefined
  /** By default it is both. */
  readonly role?: FleetRole | undefined
}

/** How long a server that is not there yet is waited for, and how often it is tried. */
const CONNECT_MILLIS = 30_000
const RETRY_MILLIS = 1000

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
  const settings = toSettings({ ...options, models: {} })
  const subjects = new Subjects(prefix)
  const connection = await connectPatiently(nats, `dotpool ${role ?? 'member'}`, app.log)
  const transport = new NatsTransport(connection)
  const member = new FleetMember({ transport, subjects, role, store, log: app.log })
  let draining: Promise<void> | undefined
  app.addHook('preClose', async () => {
    draining = member.drain(settings.drainMillis)
    // the routes of a gateway drain meanwhile
    if (role === 'worker') await draining
  })
  app.addHook('onClose', async () => {
    await draining
    await member.close()
  })
  const { worker, catalog } = member
  if (catalog !== undefined) addRoutes(app, { ...options, models: catalog })
  else if (worker !== undefined) addWorkerRoutes(app, worker, member.store, settings)
  return async () => await member.join()
}

async function connectPatiently(nats: NatsOptions, name: string, log: FastifyBaseLogger) {
  const end = performance.now() + CONNECT_MILLIS
  for (;;) {
    try {
      return await connectNats(nats, name)
    } catch (error) {
      const isThere = (error as { argument?: string }).argument !== 'nats'
      if (isThere || performance.now() > end) throw error
      log.warn((error as Error).message)
      await setTimeout(RETRY_MILLIS)
    }
  }
}
