import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { RouteContext } from '../context.js'
import { speakProtocol } from '../protocol.js'
import { addInferenceRoutes } from '../routes/inference.js'

/** A line has the time that its batch has, which ends it. */
const TIMEOUT_MILLIS = 2 ** 31 - 1

/** An app with the routes that lines ask, which does not listen: what they answer is what HTTP would. */
export function makeLineApp(context: RouteContext, log: FastifyInstance['log']): FastifyInstance {
  const { settings } = context
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: settings.bodyLimit,
    requestIdHeader: 'x-request-id',
    // what runs when the server closes is answered first
    return503OnClosing: false,
  })
  speakProtocol(app)
  addInferenceRoutes(app.withTypeProvider(), {
    ...context,
    settings: { ...settings, requestTimeoutMillis: TIMEOUT_MILLIS },
  })
  return app as unknown as FastifyInstance
}
