import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer } from '#server/index.js'
import { reloadOnHangup } from '#server/tls.js'

let folder: string
let files: { cert: string; key: string }
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
  files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
})
afterAll(async () => await rm(folder, { recursive: true }))

/** Writes a new certificate of 127.0.0.1 and its key. Returns the certificate. */
async function writePair(): Promise<string> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  })
  await Promise.all([writeFile(files.cert, cert), writeFile(files.key, key)])
  return cert
}

/** The status of /livez for a client that trusts this certificate alone. */
async function livez(port: number, ca: string): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/livez', ca, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}

describe('TLS', () => {
  it('serves by a certificate, and by a new one after SIGHUP', async () => {
    const listeners = process.listenerCount('SIGHUP')
    const first = await writePair()
    const app = createServer({ models: {}, tls: files })
    reloadOnHangup(app, files)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    expect(await livez(port, first)).toBe(200)
    const second = await writePair()
    expect(await livez(port, first)).toBe(200)
    process.emit('SIGHUP')
    expect(await livez(port, second)).toBe(200)
    await expect(livez(port, first)).rejects.toThrow()
    // what cannot be used changes nothing
    await writeFile(files.cert, 'no certificate')
    process.emit('SIGHUP')
    expect(await livez(port, second)).toBe(200)
    await app.close()
    expect(process.listenerCount('SIGHUP')).toBe(listeners)
  })

  it('refuses a certificate with the key of another', async () => {
    const cert = await writePair()
    await writePair()
    await writeFile(files.cert, cert)
    expect(() => createServer({ models: {}, tls: files })).toThrow('tls: expected a certificate')
  })
})
