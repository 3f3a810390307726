import closeWithGrace, { type Signals } from 'close-with-grace'
import { ArgumentError } from 'dotpool'
import type { FastifyInstance } from 'fastify'
import { FolderStore } from './batches/folder/folder-store.js'
import type { FleetOptions } from './fleet/serve.js'
import type { ModelStore } from './models/store.js'
import { addRoutes, createApp, type ServerOptions } from './server.js'
import { reloadOnHangup } from './tls.js'

export interface ServeOptions extends Omit<ServerOptions, 'models' | 'batches'> {
  /** None where the fleet's workers have them. */
  models?: ModelStore | undefined
  /** The fleet that it is a member of; none by default. */
  fleet?: FleetOptions | undefined
  /** A folder for files and batches, which are off by default. A fleet keeps them in NATS. */
  files?: string | undefined
  /** 127.0.0.1 by default: only this machine. */
  host?: string | undefined
  /** 8000 by default. 0 takes any that is free. */
  port?: number | undefined
}

/** What may take this long after requests were drained: connections and logs. */
const CLOSE_MILLIS = 5000

/**
 * Listens, while models are being loaded, until a signal ends it: then requests that run are finished, and a second
 * signal ends the process at once. With TLS, SIGHUP has it read the certificate again.
 *
 * @returns when it has ended
 * @throws why it cannot listen, the models cannot be loaded, or the fleet not be joined
 */
export async function serve({
  host = '127.0.0.1',
  port = 8000,
  ...options
}: ServeOptions): Promise<void> {
  const { drainSeconds = 30, tls, logger = true } = options
  const hasFiles = options.files !== undefined || options.fleet !== undefined
  const app = createApp({ logger, tls }, hasFiles)
  const closed = new Promise<void>((resolve) => {
    app.addHook('onClose', async () => resolve())
  })
  const delay = drainSeconds * 1000 + CLOSE_MILLIS
  const skip: Signals[] = tls === undefined ? [] : ['SIGHUP']
  const grace = closeWithGrace({ delay, logger: app.log, skip }, async ({ err }) => {
    if (err !== undefined) app.log.error(err)
    await app.close()
  })
  if (tls !== undefined) reloadOnHangup(app, tls)
  try {
    const { models } = options
    const whenReady = await addService(app, options)
    await app.listen({ host, port })
    await whenReady()
    app.log.info({ models: models?.names, loaded: models && [...models.loaded.keys()] }, 'ready')
  } catch (error) {
    grace.uninstall()
    await app.close()
    throw error
  }
  await closed
}

/** Adds what it serves. Returns what resolves once that is there. */
async function addService(
  app: FastifyInstance,
  { fleet, files, models, ...options }: Omit<ServeOptions, 'host' | 'port'>,
): Promise<() => Promise<void>> {
  if (fleet !== undefined) {
    if (files !== undefined) {
      throw new ArgumentError('files', 'none, for a fleet keeps its files in NATS', files)
    }
    // nothing of NATS is loaded without a fleet
    const { addFleetMember } = await import('./fleet/serve.js')
    return await addFleetMember(app, fleet, models, options)
  }
  if (models === undefined) throw new ArgumentError('models', 'a ModelStore, or a fleet', 'neither')
  const batches = files === undefined ? undefined : await FolderStore.open(files)
  addRoutes(app, { ...options, models, batches })
  return async () => await models.ready
}
