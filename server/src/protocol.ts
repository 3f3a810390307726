import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError, toApiError } from './errors.js'
import { isRecorded } from './generation/request-record.js'

/** Has an app validate, serialise and tell errors as OpenAI's API does. */
export function speakProtocol(app: FastifyInstance): void {
  app.setValidatorCompiler(TypeBoxValidatorCompiler)
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(answerError)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
}

/** Tells errors in OpenAI's shape, and logs those that are the server's. */
export function answerError(
  error: FastifyError | ApiError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const told = toApiError(error)
  const { statusCode, retryAfterSeconds, body } = told
  if (!isRecorded(request)) logRefusal(request, error, statusCode)
  if (retryAfterSeconds !== undefined) reply.header('retry-after', `${retryAfterSeconds}`)
  reply.code(statusCode).type('application/json').serializer(JSON.stringify).send(body)
}

/** Logs a request that did not come as far as to be a completion. */
function logRefusal({ log, method, url }: FastifyRequest, error: Error, status: number): void {
  if (status >= 500 && !(error instanceof ApiError)) log.error(error)
  else if (status >= 500) log.debug({ status, method, url, reason: error.message }, 'not served')
  else log.info({ status, method, url, reason: error.message }, 'refused')
}
