import { JetStreamApiError, JetStreamError } from '@nats-io/jetstream'
import { errors } from '@nats-io/transport-node'
import { ApiError } from '../../errors.js'

/** What NATS throws while it is not there, or is not well. */
const kinds = [
  JetStreamApiError,
  JetStreamError,
  errors.ClosedConnectionError,
  errors.ConnectionError,
  errors.DrainingConnectionError,
  errors.NoRespondersError,
  errors.RequestError,
  errors.TimeoutError,
]

/** Does work by NATS. @throws ApiError that says to try again later, where NATS is why it fails */
export async function reach<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    if (!kinds.some((kind) => cause instanceof kind)) throw cause
    const message = 'NATS, which has the files and batches, does not answer; try again later'
    throw new ApiError(503, message, { code: 'unavailable', retryAfterSeconds: 2, cause })
  }
}
