import { readFileSync } from 'node:fs'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import { ArgumentError } from 'dotpool'
import type { FastifyInstance } from 'fastify'

/** Files in PEM. */
export interface TlsFiles {
  /** The certificate, and those between it and its root. */
  readonly cert: string
  /** Its private key. */
  readonly key: string
}

/**
 * Reads a certificate and its key.
 *
 * @throws ArgumentError unless they are such, and of each other; why a file cannot be read
 */
export function readTls(files: TlsFiles): { cert: Buffer; key: Buffer } {
  const pair = { cert: readFileSync(files.cert), key: readFileSync(files.key) }
  try {
    createSecureContext(pair)
    return pair
  } catch (error) {
    const expected = `a certificate in PEM in ${files.cert}, and its key in ${files.key}`
    throw new ArgumentError('tls', expected, (error as Error).message)
  }
}

/** Has SIGHUP read the files again, for connections to come, until the app is closed. */
export function reloadOnHangup(app: FastifyInstance, files: TlsFiles): void {
  const reload = () => {
    try {
      ;(app.server as Server).setSecureContext(readTls(files))
      app.log.info('the certificate was read again')
    } catch (error) {
      app.log.error(error, 'the certificate stays as it was')
    }
  }
  process.on('SIGHUP', reload)
  app.addHook('onClose', async () => {
    process.off('SIGHUP', reload)
  })
}
