import { ArgumentError } from 'dotpool'
import { ApiError, toApiError } from '../errors.js'
import type { WireError } from './messages.js'

/** The code of what a worker does not do because it leaves. */
export const LEAVING = 'leaving'

/** An error as another process is told of it, so that its client is told what it would be told here. */
export function toWireError(error: unknown): WireError {
  // its argument may be one of several fields, which the gateway knows
  if (error instanceof ArgumentError) {
    const { argument, expected, got } = error
    return { kind: 'argument', argument, expected, got }
  }
  const { statusCode: status, message, param, code, retryAfterSeconds } = toApiError(error)
  return {
    ...{ kind: 'api', status, message },
    ...(param !== undefined && { param }),
    ...(code !== undefined && { code }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  }
}

export function fromWireError(wire: WireError): ArgumentError | ApiError {
  if (wire.kind === 'argument') return new ArgumentError(wire.argument, wire.expected, wire.got)
  const { status, message, param, code, retryAfterSeconds } = wire
  return new ApiError(status, message, { param, code, retryAfterSeconds })
}

/** Whether another worker may do what this one could not: it is full, ends, or cannot now. */
export function isRefusal(wire: WireError): boolean {
  return wire.kind === 'api' && (wire.status === 429 || wire.status === 503)
}
