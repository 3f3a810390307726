import closeWithGrace, { type Signals } from 'close-with-grace'
import { FolderStore } from './batches/folder/folder-store.js'
import type { ModelStore } from './models/store.js'
import { createServer, type ServerOptions } from './server.js'
import { reloadOnHangup } from './tls.js'

export interface ServeOptions extends Omit<ServerOptions, 'models' | 'batches'> {
  models: ModelStore
  /** A folder for files and batches, which are off by default. */
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
 * @throws why it cannot listen, or the models cannot be loaded
 */
export async function serve({
  host = '127.0.0.1',
  port = 8000,
  files,
  ...options
}: ServeOptions): Promise<void> {
  const { drainSeconds = 30, models, tls } = options
  const batches = files === undefined ? undefined : await FolderStore.open(files)
  const app = createServer({ logger: true, ...options, batches })
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
    await app.listen({ host, port })
    await models.ready
    app.log.info({ models: models.names, loaded: [...models.loaded.keys()] }, 'ready')
  } catch (error) {
    grace.uninstall()
    await app.close()
    throw error
  }
  await closed
}
