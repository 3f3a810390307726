import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

/** Where scripts/pack.js writes the packages. */
export const packages = fileURLToPath(new URL('../../packages', import.meta.url))

/** A package registry that serves the packed platform packages, as npm reads it from `url`. */
export interface Registry extends AsyncDisposable {
  url: string
}

export async function serveRegistry(): Promise<Registry> {
  const paths = new Map<string, string | Buffer>()
  const server = createServer((request, response) => {
    const body = paths.get(decodeURIComponent(request.url as string))
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // npm caches by address, and ports are reused
  const root = `/${randomUUID()}`
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${root}`
  for (const entry of readdirSync(packages, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === 'dotpool') continue
    const manifest = JSON.parse(readFileSync(`${packages}/${entry.name}/package.json`, 'utf8'))
    const { name, version } = manifest
    const file = `dotpool-${entry.name}-${version}.tgz`
    const tarball = readFileSync(`${packages}/${file}`)
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const versions = { [version]: { ...manifest, dist: { tarball: `${url}/${file}`, integrity } } }
    paths.set(`${root}/${file}`, tarball)
    paths.set(
      `${root}/${name}`,
      JSON.stringify({ name, 'dist-tags': { latest: version }, versions }),
    )
  }
  return {
    url,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
