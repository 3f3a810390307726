import { randomUUID } from 'node:crypto'
import cors from '@fastify/cors'
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify'
import { answerBrokenRequest } from './broken-request.js'
import { ApiError } from './errors.js'
import { dotpoolRoutes } from './plugin.js'
import { answerError } from './protocol.js'
import type { RouteOptions } from './settings.js'
import { readTls, type TlsFiles } from './tls.js'

export interface AppOptions {
  /** Serves HTTPS by these files. HTTP by default. */
  tls?: TlsFiles | undefined
  /** Fastify's option: pino's settings, or whether it logs at all. False by default. */
  logger?: FastifyServerOptions['logger']
}

export interface ServerOptions extends RouteOptions, AppOptions {
  /** Origins whose pages may call it from a browser; none by default. */
  corsOrigins?: readonly string[] | undefined
}

/** A client has this time to send a request. */
const RECEIVE_MILLIS = 60_000
/** And one that uploads files this: for the largest, 2.8 Mbit/s do. */
const UPLOAD_MILLIS = 600_000

/**
 * A server of OpenAI's protocol: a fastify app, to be started by `listen` and ended by `close`.
 *
 * @throws ArgumentError for a certificate that cannot be used
 */
export function createServer({ logger, tls, ...options }: ServerOptions): FastifyInstance {
  const app = createApp({ logger, tls }, options.batches !== undefined)
  addRoutes(app, options)
  return app
}

/** Adds the routes of OpenAI's protocol. */
export function addRoutes(app: FastifyInstance, options: Omit<ServerOptions, 'logger' | 'tls'>) {
  const { corsOrigins = [], page = true, ...routes } = options
  if (corsOrigins.length > 0) app.register(cors, { origin: [...corsOrigins] })
  app.register(dotpoolRoutes, { ...routes, page })
}

/**
 * An app without routes, which tells errors as OpenAI's API does.
 *
 * @param takesFiles which need more time than requests
 * @throws ArgumentError for a certificate that cannot be used
 */
export function createApp(
  { logger = false, tls }: AppOptions,
  takesFiles: boolean,
): FastifyInstance {
  const app = Fastify({
    ...(tls && { https: readTls(tls) }),
    logger,
    // its 10 s would also end requests that are being drained
    pluginTimeout: 0,
    // a completion logs a line of its own
    logController: new LogController({ disableRequestLogging: true }),
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
    requestTimeout: takesFiles ? UPLOAD_MILLIS : RECEIVE_MILLIS,
    // by then all requests are answered, and a connection that has sent none would keep it open for a minute
    forceCloseConnections: true,
    return503OnClosing: false, // the routes say so themselves, as OpenAI's API does
    genReqId: ({ headers }) => toRequestId(headers['x-request-id']),
  })
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(({ method, url }) => {
    throw new ApiError(404, `there is no route ${method} ${url}`, { code: 'unknown_url' })
  })
  return app
}

/** A client's own, if it can be logged as it is. */
function toRequestId(header: string | string[] | undefined): string {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : randomUUID()
}
