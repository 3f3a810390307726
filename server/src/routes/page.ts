import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from './app.js'

const root = fileURLToPath(new URL('../page', import.meta.url))

/** The page runs what came with it and nothing else, and makes elements of text, never of HTML. */
const contentSecurityPolicy = [
  "default-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "object-src 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

const headers = {
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** GET / and /docs, without a key: they hold no data, and ask for one themselves. */
export function addPage(app: App): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headers)
    const { pathname } = new URL(request.url, 'http://page')
    // what it refers to, it refers to from inside the folder
    if (!/(\/|\.\w+)$/.test(pathname)) return redirectInside(request, reply)
  })
  app.get('/docs', { schema: { hide: true } }, redirectInside)
  // npm gives all files of all versions one date: what a browser kept by it would outlive an update
  const fresh = { etag: false, lastModified: false }
  app.register(fastifyStatic, { root, decorateReply: false, wildcard: false, ...fresh })
}

/** From `/docs` to `/docs/`, by a relative address: a proxy may have cut a prefix off. */
function redirectInside({ url }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [, folder, query = ''] = /([^/?]*)(\?.*)?$/.exec(url) ?? []
  return reply.redirect(`${folder}/${query}`, 308)
}
